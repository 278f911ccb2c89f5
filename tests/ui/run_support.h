#pragma once

#include "core/experiment/store.h"

#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace rankwright {

inline constexpr int manyRuns = 10000;

/// Fills a store with runs as the engine records them: every state, several methods, one or two texts, some forecast,
/// names and notes with characters that tables must escape.
inline void fillStore(Store& store, int count, const std::string& model)
{
    std::mt19937 generator(7);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    const std::vector<std::string> methods{"svd", "asvd", "whitened-svd", "nsvd"};
    const std::vector<std::string> names{
        "", "baseline", "100% of A & B", "a|b_c \\ $x$ {#1}", "\"quoted\", comma", "~tilde^hat <tag> *bold*"};
    for (int i = 0; i < count; ++i) {
        const double ratio = 0.3 + 0.01 * (i % 61);
        Recipe recipe;
        recipe.model = model;
        recipe.name = names[static_cast<std::size_t>(i) % names.size()];
        recipe.method = methods[static_cast<std::size_t>(i / 3) % methods.size()];
        recipe.keptRatio = ratio;
        recipe.calibration = WindowOptions{
            .text = std::filesystem::path(model).parent_path() / "stories-calibration.txt", .length = 64, .count = 8};
        const auto run = store.beginRun(recipe, {}, "fingerprint " + std::to_string(i));
        if (i % 97 == 5)
            continue;
        EvaluationOutcome evaluation;
        evaluation.name = "wiki";
        evaluation.original.perplexity = 8.0;
        evaluation.compressed.perplexity = 8.0 + std::exp(4.0 * (1.0 - ratio)) * (0.5 + uniform(generator));
        if (i % 5 == 1) {
            const double off = 0.8 + 0.01 * (i % 37);
            const auto basis = static_cast<ForecastBasis>(i / 5 % 4);
            evaluation.forecast = {.perplexity = off * evaluation.compressed.perplexity,
                                   .low = 0.7 * off * evaluation.compressed.perplexity,
                                   .high = 1.9 * off * evaluation.compressed.perplexity,
                                   .basis = basis,
                                   .runs = basis == ForecastBasis::Prior ? 0 : static_cast<std::size_t>(i)};
        }
        const bool finished = i % 41 != 3 && i % 53 != 4;
        if (finished)
            store.recordEvaluation(run, evaluation);
        if (finished && i % 5 == 0) {
            evaluation.name = "stories";
            evaluation.compressed.perplexity *= 0.75;
            store.recordEvaluation(run, evaluation);
        }
        if (i % 10 == 0)
            store.setTags(run, i % 20 == 0 ? "paper" : "try, again");
        RunResult result;
        if (finished) {
            result.keptRatio = ratio - 0.002 * uniform(generator);
            result.wholeModelRatio = 0.3 + 0.7 * result.keptRatio;
            result.parameters = static_cast<std::size_t>(1e6 * result.wholeModelRatio);
            result.bytes = 4 * result.parameters;
        }
        store.finishRun(run,
                        finished      ? RunState::Finished
                        : i % 41 == 3 ? RunState::Cancelled
                                      : RunState::Failed,
                        result, finished ? "" : "stopped");
    }
}

} // namespace rankwright
