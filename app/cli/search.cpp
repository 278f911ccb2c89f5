#include "app/cli/search.h"

#include "app/cli/output.h"
#include "core/base/nearest_name.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace rankwright::cli {

namespace {

constexpr const char* best = "best";

Json trialToJson(const SearchTrial& trial)
{
    Json ratios = Json::object();
    for (const auto& [text, ratio] : trial.ratios)
        ratios[text] = ratio;
    const Json recipe = recipeToJson(trial.recipe);
    Json json = {{"change", trial.change}, {"run", trial.run},           {"keptRatio", trial.keptRatio},
                 {"score", trial.score},   {"perplexityRatios", ratios}, {"seconds", trial.seconds},
                 {"better", trial.better}};
    for (const char* key : {"method", "parameters", "allocation", "structure", "sequential"})
        json[key] = recipe.at(key);
    return json;
}

/// Throws CLI::ValidationError that names the nearest, "best" among them.
void requireKnownMethod(const std::string& name)
{
    std::vector<std::string_view> names;
    for (const Method* method : methods()) {
        names.push_back(method->name());
        const std::vector<std::string_view> aliases = method->aliases();
        names.insert(names.end(), aliases.begin(), aliases.end());
    }
    names.emplace_back(best);
    if (std::ranges::find(names, name) == names.end())
        throw CLI::ValidationError("--method", fmt::format("unknown method \"{}\"{}", name, knownNames(name, names)));
}

void requireSensibleLimits(const SearchChoice& search)
{
    if (search.minutes && !(*search.minutes > 0.0))
        throw CLI::ValidationError("--search-minutes",
                                   fmt::format("{} minutes; a time limit is above 0", *search.minutes));
    if (search.windows == std::size_t{0})
        throw CLI::ValidationError("--search-windows", "at least 1 is needed");
    if (search.perplexityRatio && !(*search.perplexityRatio > 1.0 && std::isfinite(*search.perplexityRatio)))
        throw CLI::ValidationError(
            "--perplexity-ratio",
            fmt::format("{} times the original's perplexity; it is a number above 1", *search.perplexityRatio));
}

} // namespace

SearchOptions SearchChoice::options() const
{
    SearchOptions options;
    if (minutes)
        options.seconds = *minutes * 60.0;
    options.windows = windows.value_or(options.windows);
    options.perplexityRatio = perplexityRatio;
    return options;
}

void addSearchOptions(CLI::App& command, SearchChoice& choice)
{
    command.get_option("--method")
        ->description("How linears are decomposed, or best to search for the recipe")
        ->type_name("METHOD|best");
    const auto number = [&](const std::string& name, std::optional<double>& target, const std::string& description) {
        command
            .add_option_function<std::string>(
                name, [&target, name](const std::string& text) { target = parseNumber(name, text); }, description)
            ->type_name("X")
            ->group("Search (--method best)");
    };
    number("--search-minutes", choice.minutes, "No trial starts that is likely to end later (default: 30)");
    addCount(command, "--search-windows", choice.windows,
             "Held-out windows after the calibration windows of every text (default: 16)")
        ->type_name("N")
        ->group("Search (--method best)");
    number("--perplexity-ratio", choice.perplexityRatio,
           "Look for the smallest kept ratio whose held-out perplexity is at most X times the original's; --keep is "
           "where it starts");
}

bool wantsSearch(const RecipeChoice& choice, const SearchChoice& search)
{
    if (choice.method)
        requireKnownMethod(*choice.method);
    if (choice.method != best) {
        if (search.given())
            throw CLI::RequiredError("--method best (for the options of a search)");
        return false;
    }
    requireSensibleLimits(search);
    const auto decided = [](bool given, const char* option) {
        if (given)
            throw CLI::ValidationError(option, "the search decides this; leave it out, or name a method");
    };
    decided(!choice.parameters.empty(), "--parameter");
    decided(choice.allocation.has_value(), "--allocation");
    decided(choice.structure.has_value(), "--structure");
    decided(choice.sequential.has_value(), "--sequential");
    decided(!choice.ranks.empty(), "--rank");
    return true;
}

Recipe searchBase(RecipeChoice choice)
{
    choice.method = "curvature-svd";
    return makeRecipe(choice);
}

Recipe chosenRecipe(const SearchResult& found, const Recipe& asked)
{
    Recipe recipe = found.recipe();
    recipe.name = asked.name;
    recipe.evaluations = asked.evaluations;
    recipe.heldOutWindows = asked.heldOutWindows;
    recipe.forecast = asked.forecast;
    recipe.out = asked.out;
    return recipe;
}

Json searchToJson(const SearchResult& found)
{
    Json trials = Json::array();
    for (const SearchTrial& trial : found.trials)
        trials.push_back(trialToJson(trial));
    return {{"trials", trials}, {"best", found.best}, {"end", found.end}, {"seconds", found.seconds}};
}

std::string searchToText(const SearchResult& found)
{
    Table table({{"run"},
                 {"tried", Table::Align::Left},
                 {"kept"},
                 {"held-out perplexity over dense", Table::Align::Left},
                 {"nats"},
                 {"seconds"},
                 {"", Table::Align::Left}});
    for (std::size_t i = 0; i < found.trials.size(); ++i) {
        const SearchTrial& trial = found.trials[i];
        std::string ratios;
        for (const auto& [text, ratio] : trial.ratios)
            ratios += fmt::format("{}{} {:.4f}", ratios.empty() ? "" : ", ", text, ratio);
        table.row({std::to_string(trial.run), trial.change, percent(trial.keptRatio), ratios,
                   fmt::format("{:.4f}", trial.score), fmt::format("{:.0f}", trial.seconds),
                   i == found.best ? "chosen"
                   : trial.better  ? "better"
                                   : ""});
    }
    return fmt::format("{}\nsearch ended after {:.0f} s: {}\n\n", table.text(), found.seconds, found.end);
}

} // namespace rankwright::cli
