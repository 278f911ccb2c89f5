#pragma once

#include "core/allocation/allocation.h"
#include "core/experiment/run_result.h"
#include "core/training/training_options.h"

#include <cstdint>
#include <functional>

namespace rankwright {

/// What a front end sees of a run while it goes on. Calls come from any thread, also several at once, after what they
/// tell is recorded; they must be cheap and must not throw. Absent ones are not called.
struct RunObserver
{
    std::function<void(std::int64_t run)> started; ///< first of all
    /// Once, before the first linear. Ranks are in the order of the chosen linears.
    std::function<void(const AllocationPlan& plan)> planned;
    /// Once per chosen linear, also for those taken over from an earlier run; heldOutError is not known yet.
    std::function<void(const LinearOutcome& outcome)> linearDone;
    std::function<void(const EvaluationOutcome& outcome)> evaluated;
    /// One more point of a loss curve.
    std::function<void(const TrainingPoint& point)> trained = {};
};

} // namespace rankwright
