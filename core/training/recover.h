#pragma once

#include "core/calibration/windows.h"
#include "core/model/forward.h"
#include "core/training/trained_block.h"
#include "core/training/training_options.h"

#include <filesystem>
#include <functional>
#include <string>

namespace rankwright {

/// What recoverModel() trains and where it keeps what.
struct RecoveryPlan
{
    /// Linears to train of a block; those without factors stay as they are.
    std::function<std::vector<Role>(std::size_t block)> roles;
    std::filesystem::path stateFile; ///< the checkpoint, taken every `recoveryCheckpoint` steps
    std::string fingerprint;         ///< of the training; another one's checkpoint is not gone on from
    /// Where a checkpoint is gone on from: the steps it is behind, and how many had to be undone by then.
    std::function<void(std::size_t step, std::size_t undone)> resumed = {};
    /// Keeps a trained block, at the end.
    std::function<void(std::size_t block, const TrainedBlock& trained)> keep;
};

/// Steps from one checkpoint to the next. Held-out windows are looked at then.
inline constexpr std::size_t recoveryCheckpoint = 8;

/// Mean losses per predicted token on held-out windows, in nats: the negative log-likelihood of the text, or the
/// divergence from the teacher.
struct RecoveryOutcome
{
    double startLoss = 0.0;
    double endLoss = 0.0; ///< never above startLoss
    std::size_t steps = 0;
};

/// Short fine-tuning of the factors only: AdamW on the language-model loss through the backward pass, activations of a
/// block computed again from its input; every worker takes whole windows. The model is left in the state that was best
/// on held-out windows. A step whose loss or gradient is not finite is undone: training goes back to the last
/// checkpoint with half the learning rate, and the event "divergedStep" is noted (value: the step). A checkpoint that
/// is there is gone on from, and gives the same values in the end. Results do not depend on threads. Throws
/// Error(Memory) where weights and moments do not fit the limit, Error(Cancelled), Error(Io).
RecoveryOutcome recoverModel(const Model& teacher, const Model& student, const Device& device,
                             const TokenWindows& windows, const RecoveryOptions& options, const PassOptions& pass,
                             const TaskContext& context, const TrainingObserver& observer, const RecoveryPlan& plan);

/// Bytes that recoverModel() takes with so many threads.
std::size_t recoveryBytes(const Model& model, std::size_t length, std::size_t threads);

} // namespace rankwright
