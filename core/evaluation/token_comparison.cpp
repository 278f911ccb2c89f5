#include "core/evaluation/token_comparison.h"

#include "core/evaluation/paired_logits.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rankwright {

namespace {

/// The most likely tokens of a row, likeliest first.
std::vector<TokenChance> topOf(std::span<const float> logits, double normaliser)
{
    std::vector<std::size_t> top;
    top.reserve(topTokens + 1);
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (top.size() == topTokens && logits[i] <= logits[top.back()])
            continue;
        const auto place = std::find_if(top.begin(), top.end(), [&](std::size_t j) { return logits[i] > logits[j]; });
        top.insert(place, i);
        top.resize(std::min(top.size(), topTokens));
    }
    std::vector<TokenChance> result;
    result.reserve(top.size());
    for (const std::size_t i : top)
        result.push_back({static_cast<std::int32_t>(i), std::exp(static_cast<double>(logits[i]) - normaliser)});
    return result;
}

} // namespace

TokenComparison compareTokens(const Model& original, const Model& other, const Device& device,
                              std::span<const std::int32_t> ids, const PassOptions& options, const TaskContext& context)
{
    const std::vector<std::int32_t> window(ids.begin(), ids.end());
    const std::size_t count = window.size();
    TokenComparison result;
    result.originalLogProbability.assign(count, std::numeric_limits<double>::quiet_NaN());
    result.otherLogProbability = result.originalLogProbability;
    result.divergence.resize(count);
    result.originalTop.resize(count);
    result.otherTop.resize(count);
    forEachLogitPair(original, other, device, std::span(&window, 1), options, context,
                     [&](std::size_t, std::size_t first, ConstMatrixView<float> p, ConstMatrixView<float> q) {
                         for (std::size_t row = 0; row < p.rows; ++row) {
                             const std::size_t t = first + row;
                             const RowComparison comparison = compareRows(p.rowSpan(row), q.rowSpan(row));
                             result.divergence[t] = comparison.kl;
                             result.originalTop[t] = topOf(p.rowSpan(row), comparison.originalNormaliser);
                             result.otherTop[t] = topOf(q.rowSpan(row), comparison.otherNormaliser);
                             if (t + 1 == count)
                                 continue;
                             const auto next = static_cast<std::size_t>(window[t + 1]);
                             result.originalLogProbability[t + 1] =
                                 static_cast<double>(p(row, next)) - comparison.originalNormaliser;
                             result.otherLogProbability[t + 1] =
                                 static_cast<double>(q(row, next)) - comparison.otherNormaliser;
                         }
                     });
    result.tokens = window;
    return result;
}

} // namespace rankwright
