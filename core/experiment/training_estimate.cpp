#include "core/experiment/training_estimate.h"

#include "core/calibration/moment_sums.h"
#include "core/experiment/pass_work.h"
#include "core/training/block_distillation.h"
#include "core/training/recover.h"

#include <algorithm>
#include <cmath>

namespace rankwright {

namespace {

/// Hidden states of all windows, in bytes.
double statesBytes(const TrainedModel& trained)
{
    return asDouble(trained.windows) * asDouble(trained.length) * asDouble(trained.model.config().hiddenSize) *
           sizeof(float);
}

} // namespace

TrainingEstimate estimateDistillation(const TrainedModel& trained, const DistillationOptions& options)
{
    const WindowSplit split(trained.windows);
    const bool teacherOnly = options.inputs == DistillationInputs::Teacher;
    const double inputs = options.inputs == DistillationInputs::Joint ? 2.0 : 1.0;
    const double epochs = asDouble(options.training.epochs);
    TrainingEstimate estimate;
    // Teacher and student carry the states of all windows along; the backward pass is twice the forward one. Held-out
    // windows are looked at before the first epoch too.
    const double carrying = asDouble(trained.windows) * (trained.teacher + (teacherOnly ? 0.0 : trained.student));
    const double training =
        trained.blockShare * trained.student *
        (epochs * asDouble(split.trained) * inputs * 3.0 + (epochs + 1.0) * asDouble(split.heldOut));
    estimate.operations = asDouble(trained.length) * (carrying + training);
    estimate.written = trained.fileBytes;
    estimate.disk = trained.fileBytes;
    const std::size_t block = largestBlockBytes(trained.model);
    const auto bytes = [&](std::size_t threads) {
        return asDouble(2 * block + distillationBytes(trained.model.config(), block, trained.length, threads));
    };
    estimate.leastMemory = bytes(1);
    const std::size_t together = std::min(trained.threads, trained.model.config().blocks);
    estimate.memory = teacherOnly ? asDouble(together) * bytes(1) + asDouble(together + 1) * statesBytes(trained)
                                  : bytes(trained.threads) + 3.0 * statesBytes(trained);
    return estimate;
}

TrainingEstimate estimateRecovery(const TrainedModel& trained, const RecoveryOptions& options)
{
    const WindowSplit split(trained.windows);
    const bool taught = options.target == RecoveryTarget::Teacher;
    const double steps = asDouble(trainingSteps(split.trained, options.training));
    const double looks = 1.0 + std::ceil(steps / asDouble(recoveryCheckpoint));
    const double teacherHead = taught ? trained.head : 0.0;
    TrainingEstimate estimate;
    // Blocks run forward, and once more before their backward pass, which is twice as much; the head forward and back.
    const double window = 4.0 * trained.student + 2.0 * trained.head + teacherHead;
    const double lookedAt = trained.student + trained.head + teacherHead;
    estimate.operations =
        asDouble(trained.length) *
        (asDouble(options.training.epochs) * asDouble(split.trained) * window +
         looks * asDouble(split.heldOut) * lookedAt + (taught ? asDouble(trained.windows) * trained.teacher : 0.0));
    // Values, two moments and the best values; see RecoveryState.
    const double checkpoint = 4.0 * sizeof(float) * trained.parameters;
    estimate.written = trained.fileBytes + looks * checkpoint;
    estimate.disk = trained.fileBytes + checkpoint;
    estimate.leastMemory = asDouble(recoveryBytes(trained.model, trained.length, 1));
    estimate.memory =
        asDouble(recoveryBytes(trained.model, trained.length, trained.threads)) + (taught ? statesBytes(trained) : 0.0);
    return estimate;
}

} // namespace rankwright
