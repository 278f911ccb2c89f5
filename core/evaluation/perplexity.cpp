#include "core/base/error.h"
#include "core/base/stopwatch.h"
#include "core/compute/elementwise.h"
#include "core/evaluation/evaluation.h"
#include "core/evaluation/evaluation_memory.h"
#include "core/evaluation/window_loss.h"

#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <utility>

namespace rankwright {

double windowLoss(const Head& head, const std::vector<std::int32_t>& ids, ConstMatrixView<float> hidden,
                  ForwardScratch& scratch, const TaskContext& context)
{
    double sum = 0;
    head.logits(hidden.rowRange(0, ids.size() - 1), scratch, [&](std::size_t first, MatrixView<float> logits) {
        context.checkStop();
        for (std::size_t row = 0; row < logits.rows; ++row)
            sum += negativeLogLikelihood(logits.rowSpan(row), static_cast<std::size_t>(ids[first + row + 1]));
    });
    return sum;
}

void requirePredictedTokens(const TokenWindows& windows)
{
    if (windows.ids.empty() || windows.ids.front().size() < 2)
        throw Error(ErrorKind::InvalidArgument,
                    "a perplexity needs at least one window of at least two tokens; take shorter windows or more text");
}

PerplexityResult perplexityOf(std::vector<double> windowNll, std::size_t length, double seconds)
{
    PerplexityResult result;
    result.windows = windowNll.size();
    result.windowLength = length;
    result.predictedTokens = result.windows * (length - 1);
    const double total = std::accumulate(windowNll.begin(), windowNll.end(), 0.0);
    result.perplexity = std::exp(total / static_cast<double>(result.predictedTokens));
    result.windowNll = std::move(windowNll);
    result.seconds = seconds;
    result.tokensPerSecond = static_cast<double>(result.windows * length) / seconds;
    return result;
}

PerplexityResult evaluatePerplexity(const Model& model, const Device& device, const TokenWindows& windows,
                                    const PassOptions& options, const TaskContext& context)
{
    requirePredictedTokens(windows);
    const Stopwatch watch;
    std::vector<double> windowNll(windows.ids.size());
    const std::size_t length = windows.ids.front().size();
    const EvaluationMemory memory = perplexityMemory(model, length, effectiveMemoryLimit(options));
    PassOptions fitting = options;
    fitting.threads = fittingThreads(model, memory, length, options);
    const Head head(model, device, memory.headLimit());
    forwardWindows(model, device, windows.ids, fitting, context,
                   [&](std::size_t window, std::size_t, ConstMatrixView<float> hidden, ForwardScratch& scratch) {
                       const double sum = windowLoss(head, windows.ids[window], hidden, scratch, context);
                       if (!std::isfinite(sum))
                           throw Error(ErrorKind::NonFinite, fmt::format("the loss of window {} is {}", window, sum),
                                       {.file = model.checkpoint().path()});
                       windowNll[window] = sum;
                   });
    return perplexityOf(std::move(windowNll), length, watch.seconds());
}

Matrix<float> windowLogits(const Model& model, const Device& device, const std::vector<std::int32_t>& window,
                           const std::vector<std::size_t>& positions, const PassOptions& options)
{
    for (const std::size_t position : positions) {
        if (position >= window.size())
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("position {} lies outside the window of {} tokens", position, window.size()));
    }
    Matrix<float> result(positions.size(), model.config().vocabularySize);
    const Head head(model, device, effectiveMemoryLimit(options));
    forwardWindows(model, device, std::span(&window, 1), options, {},
                   [&](std::size_t, std::size_t, ConstMatrixView<float> hidden, ForwardScratch& scratch) {
                       Matrix<float> chosen(positions.size(), hidden.columns);
                       for (std::size_t i = 0; i < positions.size(); ++i)
                           std::copy_n(hidden.row(positions[i]), hidden.columns, chosen.row(i));
                       head.logits(chosen.view(), scratch, [&](std::size_t first, MatrixView<float> logits) {
                           for (std::size_t row = 0; row < logits.rows; ++row)
                               std::copy_n(logits.row(row), logits.columns, result.row(first + row));
                       });
                   });
    return result;
}

} // namespace rankwright
