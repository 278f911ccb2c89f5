#include "app/cli/search.h"

#include "app/cli/output.h"
#include "app/cli/run_report.h"
#include "core/base/bytes.h"
#include "core/base/nearest_name.h"
#include "core/experiment/recompression.h"
#include "core/experiment/run_texts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iterator>

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
    if (search.minutes && !(*search.minutes > 0.0 && std::isfinite(*search.minutes)))
        throw CLI::ValidationError("--search-minutes",
                                   fmt::format("{} minutes; a time limit is a number above 0", *search.minutes));
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

Recipe withRequests(Recipe found, const Recipe& asked)
{
    found.name = asked.name;
    found.evaluations = asked.evaluations;
    found.heldOutWindows = asked.heldOutWindows;
    found.forecast = asked.forecast;
    found.out = asked.out;
    return found;
}

double SearchPlan::searchSeconds() const
{
    const double most = std::max(options.seconds, search.trials.front().run.seconds);
    // Other kept ratios are tried as long as there is time.
    return options.perplexityRatio ? most : std::min(search.seconds, most);
}

std::vector<std::pair<std::string, double>> SearchPlan::lastSeconds() const
{
    std::vector<std::pair<std::string, double>> stages;
    std::ranges::copy_if(last.stageSeconds, std::back_inserter(stages),
                         [](const auto& stage) { return stage.first == "evaluate" || stage.first == "export"; });
    return stages;
}

std::size_t SearchPlan::memory() const
{
    return std::max(search.memory, last.memory);
}

std::size_t SearchPlan::disk() const
{
    // All but the export is there after the search.
    const std::size_t first = search.trials.front().run.disk;
    return search.disk + (last.disk > first ? last.disk - first : 0);
}

SearchPlan planSearch(const Recipe& asked, const SearchOptions& options, const TaskContext& context)
{
    SearchPlan plan{
        .start = withRequests(searchStart(asked), asked), .options = options, .search = {}, .last = {}, .events = {}};
    const Model model = Model::open(asked.model);
    requireTexts(plan.start, model, context);
    plan.last = estimateRun(plan.start, model);
    plan.events = plannedEvents(plan.start, model);
    plan.search = estimateSearch(asked, options, context);
    return plan;
}

Json planToJson(const SearchPlan& plan)
{
    Json trials = Json::array();
    for (const SearchEstimate::Trial& trial : plan.search.trials)
        trials.push_back({{"change", trial.change}, {"seconds", trial.run.seconds}, {"memory", trial.run.memory}});
    Json stages = {{"search", plan.searchSeconds()}};
    double seconds = plan.searchSeconds();
    for (const auto& [stage, own] : plan.lastSeconds()) {
        stages[stage] = own;
        seconds += own;
    }
    const std::optional<double>& ratio = plan.options.perplexityRatio;
    return {{"recipe", recipeToJson(plan.start)},
            {"search",
             {{"seconds", plan.options.seconds},
              {"windows", plan.options.windows},
              {"perplexityRatio", ratio ? Json(*ratio) : Json(nullptr)},
              {"trials", std::move(trials)}}},
            {"estimate",
             {{"seconds", seconds}, {"stages", std::move(stages)}, {"memory", plan.memory()}, {"disk", plan.disk()}}},
            {"events", eventsToJson(plan.events)}};
}

std::string planToText(const SearchPlan& plan)
{
    Table table({{"trial", Table::Align::Left}, {"time, alone"}, {"memory"}});
    for (const SearchEstimate::Trial& trial : plan.search.trials)
        table.row({trial.change, duration(trial.run.seconds), formatBytes(trial.run.memory)});
    std::vector<std::pair<std::string, std::string>> lines = {
        {"trials", fmt::format("at most {}, each of the best recipe before it{}", plan.search.trials.size(),
                               plan.options.perplexityRatio ? ", then kept ratios as long as there is time" : "")},
        {"time",
         fmt::format("about {} for the search: no trial starts that is likely to end after {}; then about {}",
                     duration(plan.searchSeconds()), duration(plan.options.seconds), stagesText(plan.lastSeconds()))},
        {"memory", "about " + memoryText(plan.memory(), plan.start.memoryLimit)},
        {"disk", "about " + formatBytes(plan.disk())}};
    for (const NumericEvent& event : plan.events)
        lines.emplace_back("note", event.message);
    return "the search starts from\n" + printable(dumpJson(recipeToJson(plan.start), 2)) + "\n\n" + table.text() +
           '\n' + facts(lines);
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
