#include "core/evaluation/block_influence.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/model/architecture.h"

#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <span>

namespace rankwright {

namespace {

double cosine(std::span<const float> x, std::span<const float> y)
{
    double xx = 0.0;
    double yy = 0.0;
    double xy = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto a = static_cast<double>(x[i]);
        const auto b = static_cast<double>(y[i]);
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    // A sum that is not finite stays so: the caller refuses it.
    return xx * yy == 0.0 ? 0.0 : xy / std::sqrt(xx * yy);
}

} // namespace

std::vector<double> evaluateBlockInfluence(const Model& model, const Device& device, const TokenWindows& windows,
                                           const PassOptions& options, const TaskContext& context)
{
    if (windows.ids.empty() || windows.ids.front().empty())
        throw Error(ErrorKind::InvalidArgument, "the influence of blocks needs at least one token; take more text");
    const BlasThreads oneBlasThread(1);
    const ModelConfig& config = model.config();
    const std::size_t threads = effectiveThreads(options);
    const RotaryTable rotary = makeRotaryTable(config, windows.ids.front().size());
    std::vector<ForwardScratch> scratch;
    std::vector<Matrix<float>> before(threads);
    for (std::size_t worker = 0; worker < threads; ++worker)
        scratch.emplace_back(1);
    std::vector<Matrix<float>> states(windows.ids.size());
    std::size_t tokens = 0;
    for (std::size_t window = 0; window < states.size(); ++window) {
        states[window].reshape(windows.ids[window].size(), config.hiddenSize);
        model.embed(windows.ids[window], states[window].view());
        tokens += windows.ids[window].size();
    }
    std::vector<double> influence;
    for (std::size_t block = 0; block < config.blocks; ++block) {
        context.checkStop();
        context.report("sensitivity", blockName(config, block), block, config.blocks);
        const std::shared_ptr<const BlockWeights> weights = model.loadBlock(block);
        std::vector<double> turned(states.size());
        parallelFor(states.size(), threads, [&](std::size_t window, std::size_t worker) {
            Matrix<float>& hidden = states[window];
            before[worker] = hidden;
            forwardBlock(device, config, *weights, rotary, hidden.view(), scratch[worker]);
            for (std::size_t row = 0; row < hidden.rows(); ++row)
                turned[window] += 1.0 - cosine(before[worker].view().rowSpan(row), hidden.view().rowSpan(row));
        });
        const double sum = std::accumulate(turned.begin(), turned.end(), 0.0);
        if (!std::isfinite(sum))
            throw Error(ErrorKind::NonFinite,
                        fmt::format("activations stop being finite in {}", blockName(config, block)),
                        {.file = model.checkpoint().path()});
        influence.push_back(sum / static_cast<double>(tokens));
    }
    return influence;
}

} // namespace rankwright
