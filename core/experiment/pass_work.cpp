#include "core/experiment/pass_work.h"

#include "core/calibration/moment_sums.h"
#include "core/model/forward_buffers.h"

#include <cmath>
#include <filesystem>
#include <system_error>

namespace rankwright {

namespace {

/// Bytes of English text that become one token: 2.05 with 512 tokens (stories260K), 4.25 with 49152 (SmolLM2).
double bytesPerToken(const ModelConfig& config)
{
    return std::max(1.0, 0.334 * std::log2(asDouble(config.vocabularySize)) - 0.96);
}

} // namespace

PassWork::PassWork(const Model& model)
    : m_model(model)
{}

double PassWork::tokensOf(const WindowOptions& windows) const
{
    if (windows.count > 0)
        return asDouble(windows.count) * asDouble(windows.length);
    std::error_code failure;
    const auto bytes = std::filesystem::file_size(windows.text, failure);
    return failure ? 0.0 : asDouble(bytes) / bytesPerToken(m_model.config());
}

std::size_t PassWork::windowsOf(const WindowOptions& windows) const
{
    return windows.count > 0 ? windows.count : asBytes(tokensOf(windows) / asDouble(windows.length));
}

double PassWork::attentionFlops(std::size_t length) const
{
    const ModelConfig& config = m_model.config();
    return 2.0 * asDouble(config.heads * config.headWidth) * (asDouble(length) + 1.0);
}

double PassWork::blockFlops(std::size_t length) const
{
    return 2.0 * asDouble(m_model.linearParameterCount()) + asDouble(m_model.config().blocks) * attentionFlops(length);
}

double PassWork::headFlops() const
{
    return 2.0 * asDouble(m_model.config().vocabularySize) * asDouble(m_model.config().hiddenSize);
}

double PassWork::momentFlops(const TapInfo& tap)
{
    return asDouble(tap.width * (tap.width + 1));
}

double PassWork::leastStatisticsBytes(std::size_t length, bool anchored) const
{
    const double streams = anchored ? 2.0 : 1.0;
    const double rows = asDouble(windowsPerGroup(length)) * asDouble(length);
    double widest = 0.0;
    for (const TapInfo& tap : m_model.taps())
        widest = std::max(widest, asDouble(tap.width));
    return streams * (asDouble(largestBlockBytes(m_model)) + rows * widest * sizeof(float)) +
           widest * widest * sizeof(double) * (anchored ? 4.0 : 2.0) +
           asDouble(length) * asDouble(floatsPerRow(m_model.config())) * sizeof(float);
}

} // namespace rankwright
