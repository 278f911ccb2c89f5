#include "app/cli/options.h"
#include "app/cli/recipe_options.h"
#include "app/cli/run_report.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/bytes.h"
#include "core/evaluation/forecast_check.h"
#include "core/experiment/forecast_plan.h"
#include "core/experiment/places.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright::cli {

namespace {

struct Options
{
    RecipeChoice choice;
    std::vector<std::string> ratioTexts;
    Recipe recipe;
    std::vector<double> ratios;
};

Json toJson(const PlannedForecast& planned)
{
    Json texts = Json::array();
    for (const auto& [text, forecast] : planned.perplexities) {
        Json json = {{"text", text}};
        json.update(forecastToJson(forecast));
        texts.push_back(std::move(json));
    }
    return {{"targetKeptRatio", planned.targetKeptRatio},
            {"keptRatio", planned.keptRatio},
            {"wholeModelRatio", planned.wholeModelRatio},
            {"bytes", planned.bytes},
            {"predictedNats", planned.nats},
            {"perplexities", std::move(texts)}};
}

std::string toText(const std::vector<PlannedForecast>& forecasts)
{
    std::vector<Table::Column> columns = {{"kept"}, {"of the model"}, {"weights"}, {"predicted nats"}};
    for (const auto& [text, forecast] : forecasts.front().perplexities) {
        columns.push_back({shortened(text, 24)});
        columns.push_back({"90 % of runs"});
    }
    Table table(std::move(columns));
    std::string states;
    for (const PlannedForecast& planned : forecasts) {
        std::vector<std::string> cells = {percent(planned.keptRatio), percent(planned.wholeModelRatio),
                                          formatBytes(planned.bytes), fmt::format("{:.4g}", planned.nats)};
        for (const auto& [text, forecast] : planned.perplexities) {
            cells.push_back(perplexityText(forecast.perplexity));
            cells.push_back(rangeText(perplexityText(forecast.low), perplexityText(forecast.high)));
            if (&planned == &forecasts.front())
                states += fmt::format("{}: {}\n", oneLine(text), forecastState(forecast));
        }
        table.row(std::move(cells));
    }
    return table.text() + (states.empty() ? "" : '\n' + states);
}

void run(Session& session, const Options& options)
{
    const std::vector<PlannedForecast> forecasts =
        forecastRecipe(options.recipe, options.ratios, session.store(), defaultRunPlaces(), session.context());
    session.endProgress();
    if (!session.json) {
        session.out.write(toText(forecasts));
        return;
    }
    Json rows = Json::array();
    for (const PlannedForecast& planned : forecasts)
        rows.push_back(toJson(planned));
    session.out.json({{"recipe", recipeToJson(options.recipe)}, {"forecasts", std::move(rows)}});
}

Json checkToJson(LeftOut leftOut, const std::vector<CheckedForecast>& checked)
{
    Json rows = Json::array();
    for (const auto& [point, forecast] : checked) {
        Json row = {{"runId", point.run},          {"model", point.model},        {"method", point.method},
                    {"text", point.text},          {"predictedNats", point.nats}, {"original", point.original},
                    {"measured", point.compressed}};
        row["forecast"] = forecastToJson(forecast);
        rows.push_back(std::move(row));
    }
    const ForecastErrors errors = forecastErrors(checked);
    const auto known = [&](double value) { return errors.count > 0 ? Json(value) : Json(); };
    return {{"leftOut", leftOutName(leftOut)},
            {"count", errors.count},
            {"medianLogError", known(errors.median)},
            {"worstLogError", known(errors.worst)},
            {"covered", known(errors.covered)},
            {"rankCorrelation", known(errors.rankCorrelation)},
            {"runs", std::move(rows)}};
}

std::vector<std::string> checkCells(const char* leftOut, const ForecastErrors& errors)
{
    const bool any = errors.count > 0;
    const auto error = [&](double logError) {
        return any ? fmt::format("{:.1f} %", 100.0 * std::expm1(logError)) : "-";
    };
    const bool ordered = any && std::isfinite(errors.rankCorrelation);
    return {leftOut,
            std::to_string(errors.count),
            error(errors.median),
            error(errors.worst),
            any ? percent(errors.covered) : "-",
            ordered ? fmt::format("{:.3f}", errors.rankCorrelation) : "-"};
}

void check(Session& session)
{
    const std::vector<ForecastPoint> points = forecastPoints(session.storeWithRuns());
    Json checks = Json::array();
    Table table({{"forecast without", Table::Align::Left},
                 {"forecasts"},
                 {"median error"},
                 {"worst error"},
                 {"within 90 % range"},
                 {"rank correlation"}});
    for (const auto& [leftOut, words] :
         {std::pair(LeftOut::Run, "the run itself"), std::pair(LeftOut::Text, "runs on that text"),
          std::pair(LeftOut::Model, "runs of that model")}) {
        const std::vector<CheckedForecast> checked = checkForecasts(points, leftOut);
        if (session.json) {
            checks.push_back(checkToJson(leftOut, checked));
            continue;
        }
        table.row(checkCells(words, forecastErrors(checked)));
    }
    session.endProgress();
    if (session.json)
        session.out.json({{"checks", std::move(checks)}});
    else if (points.empty())
        session.out.write("no run has been forecast and measured yet; rankwright-cli compress --forecast with "
                          "--evaluate-text makes one\n");
    else
        session.out.write(table.text() +
                          "\nerror: of the perplexity, forecast over measured or the other way round\n"
                          "rank correlation: of three or more runs on one text; fewer have no order to speak of\n");
}

void addCheck(CLI::App& forecast, Session& session)
{
    CLI::App* command =
        addVerb(forecast, session, "check", "Forecasts of the runs that were measured, and how far off",
                "Every run that recorded nats is forecast from the others: from all of them, from those\n"
                "on other texts, and from those of other models.\n"
                "\n"
                "Example:\n"
                "  rankwright-cli forecast check");
    command->callback([&session] { session.work = [&session] { check(session); }; });
}

void prepare(Options& options)
{
    if (!options.choice.keep)
        options.choice.keep = 0.8; // of the recipe, which forecasts do not look at
    else
        options.ratios.push_back(*options.choice.keep);
    options.choice.forecast = true;
    options.recipe = makeRecipe(options.choice);
    for (const std::string& text : options.ratioTexts)
        options.ratios.push_back(parseNumber("--at", text));
    if (options.ratios.empty())
        options.ratios = {0.9, 0.8, 0.7, 0.6};
    for (const double ratio : options.ratios)
        if (!(ratio > 0.0 && ratio <= 1.0))
            throw CLI::ValidationError("--at", fmt::format("kept ratio {} is outside (0, 1]", ratio));
}

} // namespace

void addForecast(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = addVerb(
        app, session, "forecast", "Perplexity of a recipe before it is run, with its spread",
        "Calibrates, takes gradients and analyses every linear once; then any ratio costs nothing. How the predicted\n"
        "nats become perplexity is learned from the measured runs of the store: compress --forecast adds to them.\n"
        "\n"
        "Examples:\n"
        "  rankwright-cli forecast stories260K --method curvature-svd --allocation curvature --at 0.9 --at 0.7 \\\n"
        "      --calibration-text stories-calibration.txt --calibration-window 256 --calibration-windows 64 \\\n"
        "      --evaluate-text stories-heldout.txt --evaluate-window 256\n"
        "  rankwright-cli forecast check");
    addRecipeOptions(*command, options->choice);
    command->add_option("--at", options->ratioTexts, "Kept ratio (default: 0.9, 0.8, 0.7 and 0.6); may be repeated")
        ->type_name("RATIO")
        ->allow_extra_args(false)
        ->group("Options");
    command->require_subcommand(0, 1);
    addCheck(*command, session);
    // Verbs under this one run their callbacks first.
    command->callback([&session, options] {
        if (session.work)
            return;
        prepare(*options);
        session.work = [&session, options] { run(session, *options); };
    });
}

} // namespace rankwright::cli
