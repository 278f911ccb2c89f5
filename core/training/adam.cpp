#include "core/training/adam.h"

#include "core/compute/vector_kernel.h"

#include <cmath>

namespace rankwright {

namespace {

RANKWRIGHT_VECTOR_KERNEL void adamKernel(float* first, float* second, float* values, const float* gradient,
                                         std::size_t count, float firstScale, float secondScale, float rate,
                                         float decay)
{
    constexpr float beta1 = 0.9F;
    constexpr float beta2 = 0.999F;
    constexpr float epsilon = 1e-8F;
    for (std::size_t i = 0; i < count; ++i) {
        const float g = gradient[i];
        first[i] = beta1 * first[i] + (1.0F - beta1) * g;
        second[i] = beta2 * second[i] + (1.0F - beta2) * g * g;
        const float direction = first[i] * firstScale / (std::sqrt(second[i] * secondScale) + epsilon);
        values[i] -= rate * (decay * values[i] + direction);
    }
}

} // namespace

void adamStep(AdamState& state, std::size_t offset, std::span<float> values, std::span<const float> gradient,
              double rate, double decay)
{
    const auto steps = static_cast<double>(state.steps);
    adamKernel(state.first.data() + offset, state.second.data() + offset, values.data(), gradient.data(), values.size(),
               static_cast<float>(1.0 / (1.0 - std::pow(0.9, steps))),
               static_cast<float>(1.0 / (1.0 - std::pow(0.999, steps))), static_cast<float>(rate),
               static_cast<float>(decay));
}

} // namespace rankwright
