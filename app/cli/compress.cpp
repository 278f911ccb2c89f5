#include "app/cli/options.h"
#include "app/cli/recipe_options.h"
#include "app/cli/run_report.h"
#include "app/cli/search.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/experiment/export_run.h"
#include "core/experiment/places.h"
#include "core/experiment/recompression.h"
#include "core/experiment/run_texts.h"

#include <fmt/format.h>
#include <map>
#include <optional>

namespace rankwright::cli {

namespace {

struct Options
{
    RecipeChoice choice;
    SearchChoice search;
    bool searches = false;
    bool linears = false;
    bool dryRun = false;
    Recipe recipe;
};

void showPlan(Session& session, const Recipe& recipe)
{
    const Model model = Model::open(recipe.model);
    requireTexts(recipe, model, session.context());
    const RunEstimate estimate = estimateRun(recipe, model);
    const std::vector<NumericEvent> events = plannedEvents(recipe, model);
    session.endProgress();
    if (session.json) {
        Json stages = Json::object();
        for (const auto& [stage, seconds] : estimate.stageSeconds)
            stages[stage] = seconds;
        session.out.json({{"recipe", recipeToJson(recipe)},
                          {"command", recipeToCommand(recipe)},
                          {"estimate",
                           {{"seconds", estimate.seconds},
                            {"stages", stages},
                            {"memory", estimate.memory},
                            {"disk", estimate.disk}}},
                          {"events", eventsToJson(events)}});
        return;
    }
    std::vector<std::pair<std::string, std::string>> lines = {
        {"time", "about " + stagesText(estimate.stageSeconds)},
        {"memory", "about " + memoryText(estimate.memory, recipe.memoryLimit)},
        {"disk", "about " + formatBytes(estimate.disk)}};
    for (const NumericEvent& event : events)
        lines.emplace_back("note", event.message);
    session.out.write(commandToText(recipeToCommand(recipe)) + "\n\n" + printable(dumpJson(recipeToJson(recipe), 2)) +
                      "\n\n" + facts(lines));
}

void showSearchPlan(Session& session, const Recipe& recipe, const SearchOptions& options)
{
    const SearchPlan plan = planSearch(recipe, options, session.context());
    session.endProgress();
    if (session.json)
        session.out.json(planToJson(plan));
    else
        session.out.write(planToText(plan));
}

/// Of the compressed model. Linears that were not chosen are as they were.
CacheWidth cacheOf(const Recipe& recipe, const RunResult& result)
{
    std::map<std::string, StoredRank> stored;
    for (const LinearOutcome& outcome : result.linears)
        stored[outcome.name] = outcome.stored();
    return cacheWidth(Model::open(recipe.model), [&](const LinearInfo& linear) {
        const auto found = stored.find(linear.name);
        return found == stored.end() ? linear.stored() : found->second;
    });
}

/// What can be done with a run, in the store it is in.
std::string nextSteps(const Session& session, const RunResult& result)
{
    const std::string store = session.storeFile.empty() ? "" : " --store " + shellWord(session.storeFile);
    const std::string exporting =
        result.exportFolder.empty() ? fmt::format(", rankwright-cli export {}{} --out DIR exports it", result.id, store)
                                    : "";
    return fmt::format("\nrankwright-cli runs show {}{} shows it again{}\n", result.id, store, exporting);
}

void run(Session& session, const Options& options)
{
    Recipe recipe = options.recipe;
    if (options.dryRun) {
        if (options.searches)
            showSearchPlan(session, recipe, options.search.options());
        else
            showPlan(session, recipe);
        return;
    }
    std::optional<SearchResult> found;
    if (options.searches) {
        // What the last run would refuse is found before the search.
        requireFreeTarget(recipe.out);
        requireTexts(recipe, Model::open(recipe.model), session.context());
        found = searchBest(recipe, options.search.options(), session.store(), defaultRunPlaces(), session.context());
        recipe = withRequests(found->recipe(), recipe);
    }
    const RunResult result = runRecipe(recipe, session.store(), defaultRunPlaces(), session.context());
    const CacheWidth cache = cacheOf(recipe, result);
    session.endProgress();
    if (session.json) {
        Json json = resultToJson(result);
        json["keyValueCache"] = cacheToJson(cache);
        json["recipe"] = recipeToJson(recipe);
        json["store"] = session.store().file().string();
        json["peakMemory"] = peakResidentMemory();
        if (found)
            json["search"] = searchToJson(*found);
        session.out.json(json);
        return;
    }
    session.out.write((found ? searchToText(*found) : "") +
                      fmt::format("run {}{}: {} of {}\n", result.id,
                                  recipe.name.empty() ? "" : fmt::format(" ({})", oneLine(recipe.name)),
                                  findMethod(recipe.method).title(), oneLine(recipe.model.filename().string())) +
                      resultToText(result, options.linears, lossTotal(recipe),
                                   {{"cache", fmt::format("{} a token in float32, {} of latents if a runtime cached "
                                                          "those",
                                                          formatBytes(cache.expanded * sizeof(float)),
                                                          formatBytes(cache.latent * sizeof(float)))}}) +
                      nextSteps(session, result));
}

} // namespace

void addCompress(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = addVerb(
        app, session, "compress", "Compress a model, measure it, keep the run, and export it",
        "MODEL, --method and --keep are needed, or --recipe. The run is kept in the store; with --out it is exported "
        "too.\n"
        "The same command again goes on where a cut-off run stopped and takes over what a finished one computed; "
        "--out\n"
        "must be a new folder each time.\n"
        "\n"
        "Examples:\n"
        "  rankwright-cli compress stories260K --method whitened-svd --keep 0.8 \\\n"
        "      --calibration-text stories-calibration.txt --calibration-window 256 --calibration-windows 128 \\\n"
        "      --evaluate-text stories-heldout.txt --evaluate-window 256 --out stories-0.8\n"
        "  rankwright-cli compress stories260K --method svd --keep 0.5 --only q --only k\n"
        "  rankwright-cli compress --recipe recipe.json --keep 0.7 --out stories-0.7\n"
        "  rankwright-cli compress stories260K --method best --keep 0.8 --search-minutes 5 \\\n"
        "      --calibration-text stories-calibration.txt --calibration-window 256 --calibration-windows 128");
    addRecipeOptions(*command, options->choice);
    addSearchOptions(*command, options->search);
    command->add_flag("--linears", options->linears, "Show a line per linear, not per role")->group("Options");
    command
        ->add_flag("--dry-run", options->dryRun,
                   "Show recipe, command and estimated time, memory and disk, of a search its trials; compute nothing")
        ->group("Options");
    command->callback([&session, options] {
        options->searches = wantsSearch(options->choice, options->search);
        options->recipe = options->searches ? searchBase(options->choice) : makeRecipe(options->choice);
        session.work = [&session, options] {
            try {
                run(session, *options);
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::Cancelled)
                    throw;
                throw Error(ErrorKind::Cancelled, std::string(error.what()) + "; the same command again continues");
            }
        };
    });
}

} // namespace rankwright::cli
