#include "ui/session/job_feed.h"

#include <algorithm>

namespace rankwright::ui {

StageShares::StageShares(std::vector<std::pair<std::string, double>> weights)
    : m_weights(std::move(weights))
{
    double sum = 0.0;
    for (const auto& [stage, weight] : m_weights)
        sum += weight;
    for (auto& [stage, weight] : m_weights)
        weight = sum > 0.0 ? weight / sum : 0.0;
}

double StageShares::fraction(const Progress& progress)
{
    double before = 0.0;
    for (const auto& [stage, weight] : m_weights) {
        if (stage == progress.stage) {
            const double part =
                progress.total > 0 ? static_cast<double>(progress.done) / static_cast<double>(progress.total) : 0.0;
            m_fraction = std::max(m_fraction, before + weight * std::min(part, 1.0));
            break;
        }
        before += weight;
    }
    return m_fraction;
}

} // namespace rankwright::ui
