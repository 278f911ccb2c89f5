#pragma once

#include "core/calibration/statistics.h"
#include "core/experiment/run_job.h"

namespace rankwright {

/// The linears of a run as they are to be compared with those of the original, one by one. Joint v/o (methods 1.6)
/// moves what no input changes from v's output into o's bias, which is exact, as attention weights sum to 1: b_v, and
/// with biasUpdate D mean(x) too, D = W_v - W_v_hat. Looked at alone v has lost that and o gained it; here v has
/// b_v (+ D mean(x)) again and o the bias that gives the same model. All others are as `stored` has them.
/// `moments` are those the run was made with, or null: then means stay where they are. Job and moments must live as
/// long as what is returned.
LinearSource withValueBias(const RunJob& job, const CalibrationSet* moments, LinearSource stored);

} // namespace rankwright
