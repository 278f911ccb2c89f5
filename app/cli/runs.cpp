#include "app/cli/options.h"
#include "app/cli/run_comparison.h"
#include "app/cli/run_report.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/bytes.h"

#include <fmt/format.h>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string filter;
    std::optional<std::int64_t> run;
    std::optional<std::int64_t> other;
    bool linears = false;
};

std::string ratioText(double ratio)
{
    return ratio > 0.0 ? fmt::format("{:.4f}", ratio) : "";
}

void list(Session& session, const Options& options)
{
    const Store* store = session.existingStore();
    const std::vector<RunSummary> runs = store != nullptr ? store->runs(options.filter) : std::vector<RunSummary>();
    if (session.json) {
        Json rows = Json::array();
        for (const RunSummary& run : runs)
            rows.push_back(summaryToJson(run));
        session.out.json({{"runs", std::move(rows)}});
        return;
    }
    if (runs.empty()) {
        session.out.write(options.filter.empty() ? "no runs yet; rankwright-cli compress makes one\n"
                                                 : fmt::format("no run matches '{}'\n", oneLine(options.filter)));
        return;
    }
    Table table({{"run"},
                 {"state", Table::Align::Left},
                 {"name", Table::Align::Left},
                 {"model", Table::Align::Left},
                 {"method", Table::Align::Left},
                 {"structure", Table::Align::Left},
                 {"allocation", Table::Align::Left},
                 {"kept"},
                 {"original"},
                 {"compressed"},
                 {"on", Table::Align::Left},
                 {"time"},
                 {"started (UTC)", Table::Align::Left}});
    for (const RunSummary& run : runs) {
        std::vector<std::string> perplexity(3);
        if (!run.perplexities.empty()) {
            const RunPerplexity& first = run.perplexities.front();
            perplexity = {perplexityText(first.original), perplexityText(first.compressed), shortened(first.text, 24)};
        }
        table.row({std::to_string(run.id), std::string(runStateName(run.state)), shortened(run.name, 24),
                   shortened(std::filesystem::path(run.model).filename().string(), 24), run.method, run.structure,
                   run.allocation, ratioText(run.keptRatio > 0.0 ? run.keptRatio : run.targetKeptRatio), perplexity[0],
                   perplexity[1], perplexity[2], run.seconds > 0.0 ? duration(run.seconds) : "",
                   run.started.substr(0, 16)});
    }
    session.out.write(table.text());
}

/// Nothing where this version cannot read the recorded recipe.
std::optional<Recipe> recipeOf(const RunRecord& record)
{
    try {
        return recipeFromJson(record.recipe, {});
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

Json environmentToJson(const RunEnvironment& environment)
{
    return {{"programVersion", environment.programVersion},
            {"device", environment.device},
            {"blas", environment.blas},
            {"threads", environment.threads},
            {"host", environment.host}};
}

void show(Session& session, const Options& options)
{
    const RunRecord record = session.storeWithRuns().run(*options.run);
    const std::optional<Recipe> recipe = recipeOf(record);
    const std::string command = recipe ? recipeToCommand(*recipe) : std::string(); // that runs it again
    if (session.json) {
        Json json = summaryToJson(record.summary);
        json.update(resultToJson(record.result));
        json["runId"] = record.summary.id;
        json["recipe"] = record.recipe;
        json["command"] = command.empty() ? Json() : Json(command);
        json["environment"] = environmentToJson(record.environment);
        session.out.json(json);
        return;
    }
    const RunSummary& run = record.summary;
    std::vector<std::pair<std::string, std::string>> lines = {
        {"model", run.model},
        {"method", fmt::format("{}, {}, {} allocation, {} statistics", run.method, run.structure, run.allocation,
                               run.sequential)},
        {"started", run.started}};
    if (!run.finished.empty())
        lines.emplace_back("ended", run.finished);
    if (!run.error.empty())
        lines.emplace_back("error", run.error);
    if (!run.tags.empty())
        lines.emplace_back("tags", run.tags);
    if (!run.notes.empty())
        lines.emplace_back("notes", run.notes);
    lines.emplace_back("machine", fmt::format("{}, {} threads, {}; {}; version {}", record.environment.device,
                                              record.environment.threads, record.environment.blas,
                                              record.environment.host, record.environment.programVersion));
    std::string text =
        fmt::format("run {}{}, {}\n", run.id, run.name.empty() ? "" : fmt::format(" ({})", oneLine(run.name)),
                    runStateName(run.state)) +
        resultToText(record.result, options.linears, recipe ? lossTotal(*recipe) : "the loss of rank 0",
                     std::move(lines));
    if (!record.result.events.empty()) {
        text += "\nnotes of the numerics:\n";
        for (const NumericEvent& event : record.result.events)
            text += fmt::format("  {}{}{}: {}\n", event.kind, event.linear.empty() ? "" : " ", oneLine(event.linear),
                                oneLine(event.message));
    }
    if (!command.empty())
        text += '\n' + commandToText(command) + '\n';
    session.out.write(text);
}

void compare(Session& session, const Options& options)
{
    const Store& store = session.storeWithRuns();
    const RunRecord a = store.run(*options.run);
    const RunRecord b = store.run(*options.other);
    if (session.json)
        session.out.json(comparisonToJson(a, b));
    else
        session.out.write(comparisonToText(a, b, options.linears));
}

} // namespace

void addRuns(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = addVerb(app, session, "runs", "List the runs of the store, newest first; show one, compare two",
                                "Examples:\n"
                                "  rankwright-cli runs --filter whitened\n"
                                "  rankwright-cli runs show 3 --linears\n"
                                "  rankwright-cli runs compare 3 4");
    command->add_option("--filter", options->filter, "Only runs with this in name, model, method, tags or notes")
        ->type_name("TEXT")
        ->group("Options");
    command->require_subcommand(0, 1);

    CLI::App* showing = addVerb(*command, session, "show", "Everything kept of a run",
                                "Example:\n"
                                "  rankwright-cli runs show 3 --linears");
    addRunNumber(*showing, "RUN", options->run, "Number of the run");
    showing->add_flag("--linears", options->linears, "Show a line per linear, not per role")->group("Options");
    showing->callback([&session, options] { session.work = [&session, options] { show(session, *options); }; });

    CLI::App* comparing = addVerb(*command, session, "compare", "What differs between two runs",
                                  "Example:\n"
                                  "  rankwright-cli runs compare 3 4 --linears");
    addRunNumber(*comparing, "A", options->run, "Number of a run");
    addRunNumber(*comparing, "B", options->other, "Number of another run");
    comparing->add_flag("--linears", options->linears, "Show a line per linear, not per role")->group("Options");
    comparing->callback([&session, options] { session.work = [&session, options] { compare(session, *options); }; });

    // Verbs under this one run their callbacks first.
    command->callback([&session, options] {
        if (!session.work)
            session.work = [&session, options] { list(session, *options); };
    });
}

} // namespace rankwright::cli
