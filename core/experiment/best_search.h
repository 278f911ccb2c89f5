#pragma once

#include "core/experiment/runner.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rankwright {

/// What a search may cost and what it looks for.
struct SearchOptions
{
    double seconds = 1800.0;  ///< no trial starts that is likely to end later
    std::size_t windows = 16; ///< held-out windows of every text
    /// Compressed over dense perplexity that is still accepted, above 1: the smallest kept ratio is looked for that
    /// keeps it, from the recipe's on. Null: the recipe's kept ratio is kept.
    std::optional<double> perplexityRatio;
};

/// One recipe that a search tried.
struct SearchTrial
{
    std::string change; ///< what it differs in from the best one before it
    Recipe recipe;
    std::int64_t run = 0;
    double keptRatio = 0.0;
    std::vector<std::pair<std::string, double>> ratios; ///< by held-out text: compressed over dense perplexity
    double score = 0.0;                                 ///< mean of their logarithms, nats per token
    double seconds = 0.0;
    bool better = false; ///< than all before it
};

struct SearchResult
{
    std::vector<SearchTrial> trials; ///< in the order they were made
    std::size_t best = 0;            ///< index of the one chosen
    std::string end;                 ///< why it ended
    double seconds = 0.0;

    const Recipe& recipe() const { return trials.at(best).recipe; }
};

/// What a search will need.
struct SearchEstimate
{
    struct Trial
    {
        std::string change; ///< as in SearchTrial
        RunEstimate run;    ///< with its evaluation on the held-out windows
    };
    /// The start and every single change of it that is possible, in the order they are tried: the trials at most, but
    /// for those of other kept ratios that a perplexity ratio adds. A search changes the best one so far instead.
    std::vector<Trial> trials;
    double seconds = 0.0;   ///< of all trials, statistics once; the time limit is not looked at
    std::size_t memory = 0; ///< of the largest trial, bytes
    std::size_t disk = 0;   ///< of all trials, statistics once, bytes
};

/// What a search starts from: `base` with the search's method, parameters, allocation, structure and sequential mode,
/// without evaluations, forecast and export.
Recipe searchStart(const Recipe& base);

/// Of the search of the same `base`, whose calibration texts are read as far as their held-out windows. Throws as
/// searchBest() before its first trial, and as estimateRun().
SearchEstimate estimateSearch(const Recipe& base, const SearchOptions& options, const TaskContext& context);

/// Looks for the recipe that loses least on held-out windows: those that follow the windows calibrated on, of every
/// calibration text; texts count alike, whatever their weights in the statistics. Starts from curvature-svd with ranks
/// by curvature loss and block identity, and changes one thing at a time - sequential mode, grouping, damping and
/// shrinkage of the metrics, a nested second stage, allocation, metric -, keeping what lowers the score. With a
/// perplexity ratio the kept ratio is then bisected. Every trial is an ordinary run of the store, tagged "search": the
/// same search again takes over what it computed before.
/// `base` gives model, calibration, kept ratio and how to run; method, parameters, allocation, structure and sequential
/// mode are the search's; evaluations and export are left out. Throws Error(InvalidArgument) for a base without
/// consecutive, counted calibration windows, for texts without so many windows more, and for options out of range;
/// otherwise as runRecipe(). What the model and the linears that the recipe chooses do not allow is not tried. A trial
/// that fails for a numeric reason is noted ("trialFailed") and passed over.
SearchResult searchBest(const Recipe& base, const SearchOptions& options, Store& store, const RunPlaces& places,
                        const TaskContext& context);

} // namespace rankwright
