#include "core/calibration/curvature.h"
#include "core/calibration/statistics.h"
#include "core/evaluation/evaluation.h"
#include "tests/benchmarks/support.h"

#include <fmt/format.h>

namespace rankwright::benchmarks {

namespace {

constexpr std::size_t tokensPerRun = 4096;

bool skipped(benchmark::State& state)
{
    if (smolLm2())
        return false;
    state.SkipWithError("RANKWRIGHT_SMOLLM2 is not set");
    return true;
}

void forward(benchmark::State& state, std::size_t length, bool head)
{
    if (skipped(state))
        return;
    const Model& model = *smolLm2();
    TokenWindows windows;
    windows.ids = randomWindows(model, tokensPerRun / length, length);
    for (auto _ : state) {
        if (head)
            evaluatePerplexity(model, cpu(), windows, {}, {});
        else
            forwardWindows(model, cpu(), windows.ids, {}, {},
                           [](std::size_t, std::size_t, ConstMatrixView<float> hidden, ForwardScratch&) {
                               benchmark::DoNotOptimize(hidden.data);
                           });
    }
    const auto count = static_cast<double>(windows.ids.size());
    state.counters["tokens"] = static_cast<double>(tokensPerRun);
    state.counters["flop"] =
        count * forwardFlops(model, length) + (head ? count * static_cast<double>(length - 1) * headFlops(model) : 0.0);
}

constexpr std::size_t statisticsLength = 256;

/// Statistics of random windows of statisticsLength tokens, written to a new folder each time by `make(windows,
/// folder)`.
template <typename Make>
void statistics(benchmark::State& state, const Make& make, double (*flop)(const Model& model, std::size_t windows))
{
    if (skipped(state))
        return;
    const Model& model = *smolLm2();
    TokenWindows windows;
    windows.ids = randomWindows(model, tokensPerRun / statisticsLength, statisticsLength);
    const TemporaryFolder folder;
    std::size_t run = 0;
    for (auto _ : state) {
        windows.fingerprint = std::to_string(++run);
        make(model, windows, folder.path());
    }
    state.counters["tokens"] = static_cast<double>(tokensPerRun);
    state.counters["flop"] = flop(model, windows.ids.size());
}

/// Of the inputs of all taps.
void calibration(benchmark::State& state)
{
    statistics(
        state,
        [](const Model& model, const TokenWindows& windows, const std::filesystem::path& folder) {
            calibrate(model, cpu(), windows, folder, {}, {});
        },
        [](const Model& model, std::size_t windows) {
            return static_cast<double>(windows) * forwardFlops(model, statisticsLength) +
                   static_cast<double>(tokensPerRun) * momentFlops(model);
        });
}

/// Of the gradients of all linears on the same windows.
void curvature(benchmark::State& state)
{
    statistics(
        state,
        [](const Model& model, const TokenWindows& windows, const std::filesystem::path& folder) {
            calibrateCurvature(model, cpu(), windows, {}, folder, {}, {});
        },
        [](const Model& model, std::size_t windows) {
            return estimateCurvature(model, windows, statisticsLength).operations;
        });
}

/// Weights of all blocks from the file into float32, what every pass has to do once.
void loadWeights(benchmark::State& state)
{
    if (skipped(state))
        return;
    for (auto _ : state)
        for (std::size_t block = 0; block < smolLm2()->config().blocks; ++block)
            benchmark::DoNotOptimize(smolLm2()->loadBlock(block));
    state.counters["byte"] = sizeof(float) * static_cast<double>(smolLm2()->linearParameterCount());
}

} // namespace

void addForward()
{
    for (const std::size_t length : {2048, 256}) {
        addThreaded(fmt::format("forward/{}/blocks", length),
                    [length](benchmark::State& state) { forward(state, length, false); });
        addThreaded(fmt::format("forward/{}/head", length),
                    [length](benchmark::State& state) { forward(state, length, true); });
    }
    addThreaded("forward/256/calibration", calibration);
    addThreaded("forward/256/curvature", curvature);
    add("forward/load", loadWeights);
}

} // namespace rankwright::benchmarks
