#pragma once

#include "core/model/model.h"

#include <optional>
#include <vector>

namespace rankwright {

/// The tensors that hold one linear; null where the structure has no such part.
struct LinearTensors
{
    const TensorInfo* weight = nullptr; ///< dense: m x n, n x m where transposed, with firstRow more rows before
    const TensorInfo* B = nullptr;      ///< m x r
    const TensorInfo* A = nullptr;      ///< r x n, or r x (n - r) for a block identity; null for shared latents
    const TensorInfo* pivots = nullptr; ///< r indices
    const TensorInfo* bias = nullptr;
    const TensorInfo* sparseValues = nullptr;  ///< k, null without an S
    const TensorInfo* sparseColumns = nullptr; ///< k indices
    const TensorInfo* sparseCounts = nullptr;  ///< m counts
    /// Width of the heads whose rows lie in the order of neighbouring rotary pairs (GGUF q and k); 0: as they are.
    std::size_t pairedHeadWidth = 0;
    bool transposed = false;  ///< of `weight`
    std::size_t firstRow = 0; ///< of this linear in `weight` and `bias`, which it shares with others
};

struct NormTensors
{
    const TensorInfo* weight = nullptr;
    const TensorInfo* bias = nullptr; ///< null for NormKind::RootMeanSquare
};

/// Where every part of a model lies in its checkpoint. Pointers are into Checkpoint::tensors().
struct ModelLayout
{
    std::vector<LinearInfo> linears;
    std::vector<LinearTensors> linearTensors; ///< by LinearInfo::index
    std::vector<TapInfo> taps;
    std::vector<NormTensors> attentionNorms;   ///< by block
    std::vector<NormTensors> mlpNorms;         ///< by block
    std::vector<const TensorInfo*> queryNorms; ///< by block, empty without ModelConfig::queryKeyNorm
    std::vector<const TensorInfo*> keyNorms;   ///< the same
    const TensorInfo* embedding = nullptr;
    const TensorInfo* positions = nullptr; ///< null without learned positions
    NormTensors finalNorm;
    const TensorInfo* head = nullptr; ///< the embedding where tied
    std::size_t parameters = 0;
    std::size_t linearParameters = 0;
};

/// Finds and checks every tensor. Throws Error(NotFound) for a missing one, Error(Mismatch) where shape or dtype
/// disagree with the configuration, Error(Unsupported) for a tensor that the architecture does not have.
ModelLayout makeLayout(const Checkpoint& checkpoint, const ModelConfig& config);

} // namespace rankwright
