#pragma once

#include "app/cli/recipe_options.h"
#include "core/experiment/best_search.h"

namespace rankwright::cli {

/// The options of `compress --method best`.
struct SearchChoice
{
    std::optional<double> minutes, perplexityRatio;
    std::optional<std::size_t> windows;

    bool given() const { return minutes || perplexityRatio || windows; }
    SearchOptions options() const;
};

/// To a command with the options of a recipe, whose --method then takes "best" too.
void addSearchOptions(CLI::App& command, SearchChoice& choice);

/// Whether the recipe is to be searched for. Throws CLI::ParseError for an unknown method, for options that the
/// search decides, and for search options that make no sense or come without it.
bool wantsSearch(const RecipeChoice& choice, const SearchChoice& search);
/// The recipe that a search starts from. Throws as makeRecipe().
Recipe searchBase(RecipeChoice choice);
/// A recipe of a search with the name, evaluations and export of the one that was asked for.
Recipe withRequests(Recipe found, const Recipe& asked);

/// What is known of a search before it is made, and of the run of its recipe that follows.
struct SearchPlan
{
    Recipe start; ///< withRequests() of what is tried first
    SearchOptions options;
    SearchEstimate search;
    RunEstimate last;                 ///< of `start`
    std::vector<NumericEvent> events; ///< plannedEvents() of `start`

    /// Of the search within its time, at least that of its first trial.
    double searchSeconds() const;
    /// After the search: "evaluate" and "export", as the linears are there by then.
    std::vector<std::pair<std::string, double>> lastSeconds() const;
    std::size_t memory() const; ///< largest at a time, bytes
    std::size_t disk() const;   ///< bytes
};
/// Throws what search and run would throw before any work, and for their texts.
SearchPlan planSearch(const Recipe& asked, const SearchOptions& options, const TaskContext& context);
/// recipe (the start), search {seconds, windows, perplexityRatio, trials: [{change, seconds, memory}]}, estimate
/// {seconds, stages, memory, disk}.
Json planToJson(const SearchPlan& plan);
std::string planToText(const SearchPlan& plan);

/// trials: [{change, run, method, allocation, structure, sequential, parameters, keptRatio, perplexityRatios, score,
/// seconds, better}], best (index), end, seconds.
Json searchToJson(const SearchResult& found);
std::string searchToText(const SearchResult& found);

} // namespace rankwright::cli
