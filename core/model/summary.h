#pragma once

#include "core/model/model.h"

#include <cstddef>
#include <functional>
#include <string>

namespace rankwright {

/// Bytes as stored of the tensors that Model::parameterCount() counts, with the indices of factors: no masks, no tied
/// head stored once more.
std::size_t weightBytes(const Model& model);

/// Types of the same tensors: "F32", or "Q4_1, F32" with the type of most bytes first.
std::string weightTypes(const Model& model);

/// Numbers per token that a key/value cache of all blocks holds.
struct CacheWidth
{
    std::size_t expanded = 0; ///< keys and values as attention uses them, 2 keyValueHeads headWidth per block
    /// The latents of keys (before rotation) and values where those linears are stored in factors without an S. No
    /// stock runtime caches these: it is what one that expands them while reading would need.
    std::size_t latent = 0;
};
CacheWidth cacheWidth(const Model& model);
/// Of the model with linears stored in another way.
CacheWidth cacheWidth(const Model& model, const std::function<StoredRank(const LinearInfo&)>& stored);

} // namespace rankwright
