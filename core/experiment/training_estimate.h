#pragma once

#include "core/model/model.h"
#include "core/training/training_options.h"

namespace rankwright {

/// A compressed model that is trained, and what it is trained on.
struct TrainedModel
{
    const Model& model;
    double teacher = 0.0; ///< operations of all original blocks for one token
    double student = 0.0; ///< of all compressed ones
    double head = 0.0;
    double parameters = 0.0; ///< of the factors
    double fileBytes = 0.0;  ///< of all compressed linears
    double blockShare = 0.0; ///< of the blocks, in which something is trained
    std::size_t windows = 0; ///< two at least
    std::size_t length = 0;  ///< tokens of a window
    std::size_t threads = 1;
};

/// What a training takes.
struct TrainingEstimate
{
    double operations = 0.0;  ///< multiplications and additions in float32
    double written = 0.0;     ///< bytes, checkpoints each time
    double disk = 0.0;        ///< bytes held at the end, with the last checkpoint
    double memory = 0.0;      ///< bytes with all threads
    double leastMemory = 0.0; ///< bytes with one thread, and states in a file
};
/// Of distillBlocks(). Throws as WindowSplit.
TrainingEstimate estimateDistillation(const TrainedModel& trained, const DistillationOptions& options);
/// Of recoverModel(). Throws as WindowSplit.
TrainingEstimate estimateRecovery(const TrainedModel& trained, const RecoveryOptions& options);

} // namespace rankwright
