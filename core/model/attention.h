#pragma once

#include "core/model/forward_buffers.h"

namespace rankwright {

/// mixed (T x heads headWidth) <- causal attention of queries (T x heads headWidth, normed, not yet rotated), the first
/// of which is at position `first`, over the keys and values at positions 0 to first + T - 1 of the cache. Heads of a
/// group share the keys and values of theirs.
void attend(const Device& device, const ModelConfig& config, const RotaryTable& rotary, ConstMatrixView<float> queries,
            std::size_t first, const KeyValueCache& cache, MatrixView<float> mixed, std::size_t threads,
            std::span<ForwardScratch::Buffers::Worker> workers);

} // namespace rankwright
