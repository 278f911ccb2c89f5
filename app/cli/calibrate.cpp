#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/calibration/curvature.h"
#include "core/experiment/places.h"

#include <fmt/format.h>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string model;
    WindowChoice text;
    std::optional<std::string> curvature;
    std::optional<std::size_t> seed;
    bool weightMoments = false;
    PassChoice pass;
};

Json gradientsToJson(const Model& model, const CalibrationSet& set)
{
    Json linears = Json::array();
    for (const LinearInfo& linear : model.linears()) {
        const TapSummary& summary = set.summaries()[linear.index];
        linears.push_back({{"name", linear.name},
                           {"tokens", summary.tokens},
                           {"gradientTrace", summary.trace},
                           {"gradientFrobenius", summary.frobenius},
                           {"relativeSpread", summary.spread < 0.0 ? Json() : Json(summary.spread)}});
    }
    return linears;
}

std::string gradientsToText(const Model& model, const CalibrationSet& set)
{
    Table table({{"linear", Table::Align::Left}, {"outputs"}, {"trace of g g^T"}, {"Frobenius norm"}, {"spread"}});
    for (const LinearInfo& linear : model.linears()) {
        const TapSummary& summary = set.summaries()[linear.index];
        table.row({linear.name, std::to_string(summary.width), fmt::format("{:.6g}", summary.trace),
                   fmt::format("{:.6g}", summary.frobenius),
                   summary.spread < 0.0 ? "" : fmt::format("{:.1f} %", 100.0 * summary.spread)});
    }
    return table.text();
}

Json toJson(const Model& model, const CalibrationSet& set)
{
    Json taps = Json::array();
    for (const TapInfo& tap : model.taps()) {
        const TapSummary& summary = set.summaries()[tap.index];
        Json linears = Json::array();
        for (const std::size_t linear : tap.linears)
            linears.push_back(model.linears()[linear].name);
        taps.push_back({{"name", tap.name},
                        {"linears", std::move(linears)},
                        {"tokens", summary.tokens},
                        {"width", summary.width},
                        {"trace", summary.trace},
                        {"frobenius", summary.frobenius},
                        {"meanNorm", summary.meanNorm},
                        {"deadChannels", summary.deadChannels}});
    }
    return {{"model", model.checkpoint().path().string()},
            {"fingerprint", set.fingerprint()},
            {"reused", set.reused()},
            {"folder", set.folder().string()},
            {"windows", set.windows()},
            {"windowLength", set.windowLength()},
            {"tokens", set.tokens()},
            {"taps", std::move(taps)}};
}

std::string toText(const Model& model, const CalibrationSet& set)
{
    std::string result = oneLine(model.checkpoint().path().string()) + '\n';
    result += facts(
        {{"tokens", fmt::format("{}: {} windows of {}", grouped(set.tokens()), set.windows(), set.windowLength())},
         {"fingerprint", set.fingerprint()},
         {"kept in", set.folder().string() + (set.reused() ? " (reused)" : "")}});
    Table table({{"input site", Table::Align::Left},
                 {"linears", Table::Align::Left},
                 {"channels"},
                 {"dead"},
                 {"trace"},
                 {"Frobenius norm"},
                 {"norm of mean"}});
    for (const TapInfo& tap : model.taps()) {
        const TapSummary& summary = set.summaries()[tap.index];
        std::string roles;
        for (const std::size_t linear : tap.linears)
            roles += fmt::format("{}{}", roles.empty() ? "" : " ", roleName(model.linears()[linear].role));
        table.row({tap.name, roles, std::to_string(summary.width),
                   summary.deadChannels == 0 ? "" : std::to_string(summary.deadChannels),
                   fmt::format("{:.6g}", summary.trace), fmt::format("{:.6g}", summary.frobenius),
                   fmt::format("{:.4g}", summary.meanNorm)});
    }
    return result + '\n' + table.text();
}

void run(Session& session, const Options& options)
{
    const TaskContext context = session.context();
    const std::shared_ptr<const Device> device = options.pass.open();
    const Model model = Model::open(options.model);
    model.requireFinite();
    const TokenWindows windows = makeWindows(*model.tokenizer(), options.text.windows(), context);
    const CalibrationSet set =
        calibrate(model, *device, windows, defaultRunPlaces().cache, options.pass.options(), context);
    std::optional<CalibrationSet> gradients;
    if (options.curvature) {
        const CurvatureOptions curvature{.labels = gradientLabelsFromName(*options.curvature),
                                         .seed = options.seed.value_or(0),
                                         .weightMoments = options.weightMoments};
        gradients.emplace(calibrateCurvature(model, *device, windows, curvature, defaultRunPlaces().cache,
                                             options.pass.options(), context));
    }
    session.endProgress();
    if (session.json) {
        Json json = toJson(model, set);
        if (gradients) {
            json["linears"] = gradientsToJson(model, *gradients);
            json["curvature"] = {{"labels", *options.curvature},           {"seed", options.seed.value_or(0)},
                                 {"weightMoments", options.weightMoments}, {"fingerprint", gradients->fingerprint()},
                                 {"reused", gradients->reused()},          {"folder", gradients->folder().string()}};
        }
        session.out.json(json);
    } else {
        session.out.write(toText(model, set) + (gradients ? '\n' + gradientsToText(model, *gradients) : ""));
    }
}

} // namespace

void addCalibrate(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command =
        addVerb(app, session, "calibrate", "Statistics of every linear's input on a text, kept for later runs",
                "Sums over the tokens of each input site: the second moment x x^T (trace and Frobenius norm are "
                "shown), the mean.\n"
                "They are kept in $XDG_CACHE_HOME/rankwright and reused by every run on the same weights and windows.\n"
                "\n"
                "Example:\n"
                "  rankwright-cli calibrate stories260K --text stories-calibration.txt --window 256 --windows 128");
    addModel(*command, options->model);
    addTextOptions(*command, options->text, "that the statistics are of", true);
    CLI::Option* curvature =
        command
            ->add_option("--curvature", options->curvature,
                         "Also the second moments of the gradients of every linear's output, with labels drawn from "
                         "the model or the text's own tokens")
            ->type_name("sampled|text");
    addCount(*command, "--curvature-seed", options->seed, "Seed of drawn labels (default: 0)")
        ->type_name("S")
        ->needs(curvature);
    command
        ->add_flag("--weight-moments", options->weightMoments,
                   "Also the moments of weight gradients that gfwsvd and whitened-fwsvd need")
        ->needs(curvature);
    addPassOptions(*command, options->pass);
    command->callback([&session, options] {
        requireTextAndWindow(options->text, "--");
        if (options->curvature)
            gradientLabelsFromName(*options->curvature);
        session.work = [&session, options] { run(session, *options); };
    });
}

} // namespace rankwright::cli
