#include "core/model/forward.h"

#include <cmath>
#include <numbers>

namespace rankwright {

namespace {

/// Angle per position of frequency `index`, radians.
double frequency(const ModelConfig& config, std::size_t index)
{
    const double plain =
        1.0 / std::pow(config.ropeTheta, 2.0 * static_cast<double>(index) / static_cast<double>(config.headWidth));
    if (!config.ropeScaling)
        return plain;
    const RopeScaling& scaling = *config.ropeScaling;
    if (scaling.kind == "factors")
        return plain / static_cast<double>(scaling.factors.at(index));
    if (scaling.kind == "linear")
        return plain / scaling.factor;
    const double wavelength = 2.0 * std::numbers::pi / plain;
    const auto context = static_cast<double>(scaling.originalContext);
    if (wavelength < context / scaling.highFrequencyFactor)
        return plain;
    if (wavelength > context / scaling.lowFrequencyFactor)
        return plain / scaling.factor;
    const double smooth = (context / wavelength - scaling.lowFrequencyFactor) /
                          (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
    return (1.0 - smooth) * plain / scaling.factor + smooth * plain;
}

} // namespace

RotaryTable makeRotaryTable(const ModelConfig& config, std::size_t positions)
{
    const std::size_t half = config.headWidth / 2;
    RotaryTable table{Matrix<float>(positions, half), Matrix<float>(positions, half)};
    for (std::size_t index = 0; index < half; ++index) {
        // transformers keeps frequencies and angles in float32, which shows at large positions.
        const auto perPosition = static_cast<float>(frequency(config, index));
        for (std::size_t position = 0; position < positions; ++position) {
            const float angle = static_cast<float>(position) * perPosition;
            table.cosines(position, index) = static_cast<float>(std::cos(static_cast<double>(angle)));
            table.sines(position, index) = static_cast<float>(std::sin(static_cast<double>(angle)));
        }
    }
    return table;
}

} // namespace rankwright
