#pragma once

#include "core/compute/elementwise.h"
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

} // namespace rankwright
