#pragma once

#include "core/training/adam.h"

#include <filesystem>
#include <string>
#include <vector>

namespace rankwright {

/// Where a training of the whole model stands.
struct RecoveryState
{
    /// Of one block; empty where nothing of it is trained.
    struct Block
    {
        AlignedVector<float> values;
        AdamState adam;
        AlignedVector<float> best; ///< where the loss on held-out windows was least so far
    };
    std::vector<Block> blocks;
    std::size_t step = 0; ///< steps done
    std::size_t undone = 0;
    double scale = 1.0; ///< of the learning rate
    double startLoss = 0.0;
    double bestLoss = 0.0;
};

/// Writes a checkpoint that appears when it is whole and synced. Throws Error(Io).
void writeRecoveryState(const std::filesystem::path& file, const std::string& fingerprint, const RecoveryState& state);

/// Reads one into `state`, whose blocks have the sizes expected. Throws Error(NotFound), Error(Mismatch) for that of
/// another run, Error(Corrupt).
void readRecoveryState(const std::filesystem::path& file, const std::string& fingerprint, RecoveryState& state);

} // namespace rankwright
