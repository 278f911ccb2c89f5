#include "core/evaluation/evaluation.h"
#include "core/evaluation/paired_logits.h"

#include <cmath>
#include <numeric>

namespace rankwright {

DivergenceResult evaluateDivergence(const Model& original, const Model& other, const Device& device,
                                    const TokenWindows& windows, const PassOptions& options, const TaskContext& context)
{
    const std::size_t count = windows.ids.size();
    DivergenceResult result;
    result.windowKl.resize(count);
    std::vector<std::size_t> agreed(count);
    forEachLogitPair(original, other, device, windows.ids, options, context,
                     [&](std::size_t window, std::size_t, ConstMatrixView<float> p, ConstMatrixView<float> q) {
                         for (std::size_t row = 0; row < p.rows; ++row) {
                             const RowComparison comparison = compareRows(p.rowSpan(row), q.rowSpan(row));
                             result.windowKl[window] += comparison.kl;
                             agreed[window] += comparison.sameTop ? 1 : 0;
                         }
                     });

    const auto length = static_cast<double>(windows.ids.front().size());
    result.positions = count * windows.ids.front().size();
    const auto positions = static_cast<double>(result.positions);
    result.klDivergence = std::accumulate(result.windowKl.begin(), result.windowKl.end(), 0.0) / positions;
    const std::size_t same = std::accumulate(agreed.begin(), agreed.end(), std::size_t{0});
    result.topOneAgreement = static_cast<double>(same) / positions;
    if (count > 1) {
        double squares = 0;
        for (const double kl : result.windowKl)
            squares += std::pow(kl / length - result.klDivergence, 2.0);
        result.klStandardError = std::sqrt(squares / static_cast<double>(count - 1) / static_cast<double>(count));
    }
    return result;
}

} // namespace rankwright
