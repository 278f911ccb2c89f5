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
/// The chosen recipe with the name, evaluations and export of the one that was asked for.
Recipe chosenRecipe(const SearchResult& found, const Recipe& asked);

/// trials: [{change, run, method, allocation, structure, sequential, parameters, keptRatio, perplexityRatios, score,
/// seconds, better}], best (index), end, seconds.
Json searchToJson(const SearchResult& found);
std::string searchToText(const SearchResult& found);

} // namespace rankwright::cli
