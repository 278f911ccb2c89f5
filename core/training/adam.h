#pragma once

#include "core/tensor/matrix.h"

#include <cstddef>
#include <span>

namespace rankwright {

/// Moments of AdamW for a number of values, float32.
struct AdamState
{
    explicit AdamState(std::size_t values = 0)
        : first(values)
        , second(values)
    {}

    AlignedVector<float> first;
    AlignedVector<float> second;
    std::size_t steps = 0;
};

/// One step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101; betas 0.9 and 0.999, epsilon 1e-8): with the
/// moments corrected for their start, w <- w - rate (decay w + m / (sqrt(v) + epsilon)). `offset` is the place of these
/// values in the state; the caller counts `state.steps` up before the first values of a step.
void adamStep(AdamState& state, std::size_t offset, std::span<float> values, std::span<const float> gradient,
              double rate, double decay);

} // namespace rankwright
