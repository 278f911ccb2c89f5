#pragma once

#include "core/calibration/windows.h"
#include "core/training/block_distillation.h"

#include <functional>

namespace rankwright {

/// What distillBlocks() does with blocks.
struct DistillationPlan
{
    /// Linears to train of a block; those without factors stay as they are.
    std::function<std::vector<Role>(std::size_t block)> roles;
    /// Whether a block was trained before and the student already has the result.
    std::function<bool(std::size_t block)> finished;
    /// Keeps a trained block; the student has it from then on. One call at a time, blocks in order.
    std::function<void(std::size_t block, const TrainedBlock& trained, const BlockOutcome& outcome)> keep;
};

/// Local distillation (Lillama, arXiv 2412.16719; methods 3): block by block, in the order of the forward pass, the
/// factors of `student` learn to give the outputs of `teacher`'s block. Teacher and student carry the hidden states of
/// all windows along, in memory or past the limit in a file; a student's block starts when those before it are done and
/// kept, so that its inputs are final (the published code trains all blocks at once on inputs that still move). With
/// teacher inputs only, as many blocks as there are threads are trained at once; else the windows of a batch are.
/// Results depend neither on threads nor on the memory limit. Throws Error(Memory) where one block does not fit,
/// Error(Cancelled), and what passes over windows throw.
void distillBlocks(const Model& teacher, const Model& student, const Device& device, const TokenWindows& windows,
                   const DistillationOptions& options, const PassOptions& pass, const TaskContext& context,
                   const TrainingObserver& observer, const DistillationPlan& plan);

} // namespace rankwright
