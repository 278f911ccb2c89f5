#include "core/experiment/run_job.h"
#include "core/experiment/runner.h"

#include <algorithm>
#include <filesystem>

namespace rankwright {

namespace {

// Rates of one thread of a current processor through BLAS, operations per second, and bytes of text per token. They
// decide nothing but the estimate.
constexpr double floatRate = 40e9;
constexpr double doubleRate = 15e9;
constexpr double bytesPerToken = 4.0;

double tokensOf(const WindowOptions& windows)
{
    if (windows.count > 0)
        return static_cast<double>(windows.count * windows.length);
    std::error_code failure;
    const auto bytes = std::filesystem::file_size(windows.text, failure);
    return failure ? 0.0 : static_cast<double>(bytes) / bytesPerToken;
}

double cube(double x)
{
    return x * x * x;
}

} // namespace

RunEstimate estimateRun(const Recipe& recipe, const Model& model)
{
    const PassOptions options{.threads = recipe.threads, .memoryLimit = recipe.memoryLimit, .scratchFolder = {}};
    const auto threads = static_cast<double>(effectiveThreads(options));
    const std::size_t limit = effectiveMemoryLimit(options);
    const double weights = static_cast<double>(model.linearParameterCount());
    const double head = static_cast<double>(model.config().vocabularySize * model.config().hiddenSize);

    double momentFlops = 0.0; // per token: the upper triangle of x x^T at every tap
    double momentBytes = 0.0;
    std::size_t widest = 0;
    for (const TapInfo& tap : model.taps()) {
        const auto n = static_cast<double>(tap.width);
        momentFlops += n * n;
        momentBytes += n * n * sizeof(double);
        widest = std::max(widest, tap.width);
    }

    double analysisFlops = 0.0;
    double keptBytes = 0.0;
    std::size_t analysisPeak = 0;
    for (const LinearInfo& linear : model.linears()) {
        if (!recipeSelects(recipe, linear))
            continue;
        const auto m = static_cast<double>(linear.shape.rows);
        const auto n = static_cast<double>(linear.shape.columns);
        const double k = std::min(m, n);
        // W C, the Gram matrix, its eigenproblem (about 9 k^3), the factors and the measured loss.
        analysisFlops += 4.0 * m * n * n + 2.0 * k * k * (m + n) + 9.0 * cube(k) + 4.0 * m * n * k;
        keptBytes += static_cast<double>(storedBytes(recipe.structure, linear.shape,
                                                     rankForKeptRatio(recipe.structure, linear.shape, recipe.keptRatio),
                                                     recipe.storage));
        analysisPeak = std::max(analysisPeak, analysisPeakBytes(linear.shape));
    }

    double floatFlops = 0.0;
    double tokens = 0.0;
    if (recipe.calibration) {
        tokens = tokensOf(*recipe.calibration);
        // A sequential pass runs every block once more per site; an anchored one carries two streams.
        const double passes = recipe.sequential == SequentialMode::Dense        ? 1.0
                              : recipe.sequential == SequentialMode::Compressed ? 3.5
                                                                                : 7.0;
        floatFlops += tokens * (passes * 2.0 * weights + momentFlops);
    }
    for (const EvaluationText& text : recipe.evaluations)
        floatFlops += 2.0 * tokensOf(text.windows) * 2.0 * (weights + head);
    if (recipe.heldOutWindows > 0 && recipe.calibration)
        floatFlops += static_cast<double>(recipe.heldOutWindows * recipe.calibration->length) * 4.0 * weights;

    RunEstimate estimate;
    estimate.seconds = floatFlops / (threads * floatRate) + analysisFlops / (threads * doubleRate);
    const double states = tokens * static_cast<double>(model.config().hiddenSize) * sizeof(float);
    const double blockBytes = weights / static_cast<double>(model.config().blocks) * sizeof(float);
    const double passPeak =
        states + blockBytes + 4.0 * static_cast<double>(widest * widest) * sizeof(double) + head * sizeof(float);
    const double peak = std::max(passPeak, threads * static_cast<double>(analysisPeak));
    estimate.memory = std::min(limit, static_cast<std::size_t>(peak));
    double disk = keptBytes + (recipe.calibration ? momentBytes : 0.0);
    if (!recipe.out.empty())
        disk += static_cast<double>(model.parameterCount()) * static_cast<double>(bytesPerBlock(recipe.exportDType));
    estimate.disk = static_cast<std::size_t>(disk);
    return estimate;
}

} // namespace rankwright
