#pragma once

#include "core/experiment/run_job.h"

#include <vector>

namespace rankwright {

/// Nats per token that every chosen linear of a run costs to second order (curvatureLoss() of what its file holds), by
/// position in RunJob::linears; 0 for one that stays as the checkpoint has it. Whatever method and statistics made it,
/// it is measured with `moments` and `gradients` of the dense model. Throws as readLinearFile().
std::vector<double> storedCurvature(const RunJob& job, const CalibrationSet& moments, const CalibrationSet& gradients);

} // namespace rankwright
