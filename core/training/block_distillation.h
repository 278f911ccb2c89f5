#pragma once

#include "core/base/progress.h"
#include "core/model/forward.h"
#include "core/training/trained_block.h"
#include "core/training/training_options.h"

#include <span>
#include <string>
#include <vector>

namespace rankwright {

/// One student block and what it is trained on: hidden states of all windows.
struct BlockLesson
{
    std::string name;                        ///< of the block
    std::uint64_t seed = 0;                  ///< of the order of windows
    std::vector<const HiddenStates*> inputs; ///< the losses of these are added; the last decides what is kept
    const HiddenStates* targets = nullptr;   ///< what the teacher's block makes of the first
};

/// Mean losses per token on held-out windows, of the last input.
struct BlockOutcome
{
    double startLoss = 0.0;
    double endLoss = 0.0; ///< never above startLoss
};

/// Bytes that distilBlock() takes with so many threads, states left out, for a block of `blockBytes`.
std::size_t distillationBytes(const ModelConfig& config, std::size_t blockBytes, std::size_t length,
                              std::size_t threads);

/// Trains a block by AdamW on distillationLoss() and leaves it in the state that was best on held-out windows, tried at
/// the start and after every epoch. A step whose loss or gradient is not finite is undone: the values and moments from
/// before the last update come back, the learning rate is halved, and the event "divergedStep" is noted (value: the
/// step). Results do not depend on `threads`. One BLAS thread is expected.
BlockOutcome distilBlock(const Device& device, const ModelConfig& config, const RotaryTable& rotary,
                         const BlockLesson& lesson, const TrainingOptions& options, std::size_t threads,
                         const TaskContext& context, const TrainingObserver& observer, TrainedBlock& block);

} // namespace rankwright
