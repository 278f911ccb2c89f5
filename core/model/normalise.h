#pragma once

#include "core/compute/elementwise.h"
#include "core/compute/elementwise_gradients.h"
#include "core/model/model.h"

#include <span>

namespace rankwright {

/// y = norm(x), the kind of the configuration; both of hiddenSize values.
inline void normalise(const ModelConfig& config, const NormWeights& weights, std::span<const float> x,
                      std::span<float> y)
{
    if (config.norm == NormKind::Layer)
        layerNorm(x, weights.weight, weights.bias, config.normEpsilon, y);
    else
        rmsNorm(x, weights.weight, config.normEpsilon, y);
}

/// dx += gradient through normalise().
inline void addNormGradient(const ModelConfig& config, const NormWeights& weights, std::span<const float> x,
                            std::span<const float> dy, std::span<float> dx)
{
    if (config.norm == NormKind::Layer)
        addLayerNormGradient(x, weights.weight, config.normEpsilon, dy, dx);
    else
        addRmsNormGradient(x, weights.weight, config.normEpsilon, dy, dx);
}

} // namespace rankwright
