#include "core/experiment/runner.h"
#include "tests/benchmarks/support.h"

namespace rankwright::benchmarks {

namespace {

constexpr std::size_t calibrationWindows = 128;
constexpr std::size_t calibrationLength = 256;
constexpr std::size_t evaluationWindows = 16;

/// Operations of all analyses and one factorisation each.
double decompositionFlops(const Model& model)
{
    double flops = 0;
    for (const LinearInfo& linear : model.linears()) {
        const auto m = static_cast<double>(linear.shape.rows);
        const auto n = static_cast<double>(linear.shape.columns);
        const double k = std::min(m, n);
        const double rank = static_cast<double>(rankForKeptRatio(StructureKind::Factors, linear.shape, 0.8));
        flops += 2 * k * n * n + k * k * n + 9 * k * k * k + 2 * k * n * rank;
    }
    return flops;
}

double calibrationFlops(const Model& model)
{
    return static_cast<double>(calibrationWindows) *
           (forwardFlops(model, calibrationLength) + static_cast<double>(calibrationLength) * momentFlops(model));
}

void pipeline(benchmark::State& state)
{
    if (!smolLm2()) {
        state.SkipWithError("RANKWRIGHT_SMOLLM2 is not set");
        return;
    }
    const TemporaryFolder folder;
    const std::filesystem::path texts = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "texts/wikitext2-raw";
    Recipe recipe;
    recipe.name = "benchmark";
    recipe.model = smolLm2()->checkpoint().path();
    recipe.keptRatio = 0.8;
    recipe.calibration = WindowOptions{
        .text = texts / "wiki.valid.raw", .rows = true, .length = calibrationLength, .count = calibrationWindows};
    recipe.evaluations = {
        {"wiki.test", {.text = texts / "wiki.test.raw", .rows = true, .length = 2048, .count = evaluationWindows}}};
    RunResult result;
    for (auto _ : state) {
        Store store(folder.path() / "experiments.sqlite");
        result = runRecipe(recipe, store, {.cache = folder.path() / "cache"}, {});
    }
    for (const auto& [stage, seconds] : result.stageSeconds)
        state.counters["seconds." + stage] = seconds;
    state.counters["flop.calibrate"] = calibrationFlops(*smolLm2());
    state.counters["flop.decompose"] = decompositionFlops(*smolLm2());
    // The dense model and the compressed one, which has 0.8 of the operations in its linears.
    const double attention =
        forwardFlops(*smolLm2(), 2048) - 2 * 2048 * static_cast<double>(smolLm2()->linearParameterCount());
    const double perWindow = forwardFlops(*smolLm2(), 2048) + 2047 * headFlops(*smolLm2());
    const double saved = (1 - result.keptRatio) * (forwardFlops(*smolLm2(), 2048) - attention);
    state.counters["flop.evaluate"] = static_cast<double>(evaluationWindows) * (2 * perWindow - saved);
    state.counters["perplexity.original"] = result.evaluations.front().original.perplexity;
    state.counters["perplexity.compressed"] = result.evaluations.front().compressed.perplexity;
}

} // namespace

void addPipeline()
{
    addThreaded("pipeline/smollm2", pipeline)->Iterations(1);
}

} // namespace rankwright::benchmarks
