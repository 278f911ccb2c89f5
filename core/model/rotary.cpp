#include "core/model/forward.h"

#include <cmath>
#include <numbers>

namespace rankwright {

namespace {

/// Angle per position of frequency `index`, radians; every step is rounded to float32 as in transformers, since an
/// error in the last place grows with the position.
float frequency(const ModelConfig& config, std::size_t index)
{
    const float exponent = static_cast<float>(2 * index) / static_cast<float>(config.headWidth);
    const float plain = 1.0F / static_cast<float>(std::pow(static_cast<double>(static_cast<float>(config.ropeTheta)),
                                                           static_cast<double>(exponent)));
    if (!config.ropeScaling)
        return plain;
    const RopeScaling& scaling = *config.ropeScaling;
    if (scaling.kind == "factors")
        return plain / scaling.factors.at(index);
    const auto factor = static_cast<float>(scaling.factor);
    if (scaling.kind == "linear")
        return plain / factor;
    const float wavelength = static_cast<float>(2.0 * std::numbers::pi) / plain;
    const auto context = static_cast<double>(scaling.originalContext);
    if (wavelength < static_cast<float>(context / scaling.highFrequencyFactor))
        return plain;
    if (wavelength > static_cast<float>(context / scaling.lowFrequencyFactor))
        return plain / factor;
    const float smooth = (static_cast<float>(context) / wavelength - static_cast<float>(scaling.lowFrequencyFactor)) /
                         static_cast<float>(scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
    return (1.0F - smooth) * plain / factor + smooth * plain;
}

} // namespace

std::vector<float> rotaryFrequencies(const ModelConfig& config)
{
    std::vector<float> frequencies(config.positions == PositionKind::Rotary ? config.headWidth / 2 : 0);
    for (std::size_t index = 0; index < frequencies.size(); ++index)
        frequencies[index] = frequency(config, index);
    return frequencies;
}

RotaryTable makeRotaryTable(const ModelConfig& config, std::size_t positions)
{
    const std::vector<float> frequencies = rotaryFrequencies(config);
    const std::size_t half = frequencies.size();
    RotaryTable table{Matrix<float>(positions, half), Matrix<float>(positions, half)};
    for (std::size_t index = 0; index < half; ++index) {
        for (std::size_t position = 0; position < positions; ++position) {
            const float angle = static_cast<float>(position) * frequencies[index];
            table.cosines(position, index) = static_cast<float>(std::cos(static_cast<double>(angle)));
            table.sines(position, index) = static_cast<float>(std::sin(static_cast<double>(angle)));
        }
    }
    return table;
}

} // namespace rankwright
