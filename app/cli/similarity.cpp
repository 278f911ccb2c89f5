#include "core/calibration/similarity.h"
#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/task_part.h"
#include "core/experiment/places.h"
#include "core/model/tensor_names.h"

#include <fmt/format.h>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string model;
    WindowChoice text;
    std::vector<std::string> against;
    std::optional<std::size_t> directions;
    PassChoice pass;
};

/// One text beside the first.
struct Compared
{
    std::string text;
    std::vector<TapSimilarity> taps; ///< by tap index
};

/// Over the taps of one site, or of all without `site`.
Spread spreadAt(const Model& model, const Compared& compared, double TapSimilarity::*measure,
                std::optional<TapSite> site = std::nullopt)
{
    std::vector<double> values;
    for (const TapInfo& tap : model.taps())
        if (!site || tap.site == *site)
            values.push_back(compared.taps[tap.index].*measure);
    return spreadOf(values);
}

Json toJson(const Spread& spread)
{
    return {{"mean", spread.mean}, {"deviation", spread.deviation}};
}

Json toJson(const Model& model, const Compared& compared)
{
    Json taps = Json::array();
    for (const TapInfo& tap : model.taps())
        taps.push_back({{"name", tap.name},
                        {"block", tap.block},
                        {"site", siteName(tap.site)},
                        {"width", tap.width},
                        {"cosine", compared.taps[tap.index].cosine},
                        {"overlap", compared.taps[tap.index].overlap}});
    Json sites = Json::array();
    for (std::size_t site = 0; site < siteCount; ++site) {
        const auto which = static_cast<TapSite>(site);
        sites.push_back({{"site", siteName(which)},
                         {"cosine", toJson(spreadAt(model, compared, &TapSimilarity::cosine, which))},
                         {"overlap", toJson(spreadAt(model, compared, &TapSimilarity::overlap, which))}});
    }
    return {{"text", compared.text},
            {"cosine", toJson(spreadAt(model, compared, &TapSimilarity::cosine))},
            {"overlap", toJson(spreadAt(model, compared, &TapSimilarity::overlap))},
            {"sites", std::move(sites)},
            {"taps", std::move(taps)}};
}

std::string toText(const Model& model, const std::vector<Compared>& texts)
{
    Table table(
        {{"text", Table::Align::Left}, {"input site", Table::Align::Left}, {"cosine of mean |x|"}, {"overlap"}});
    const auto cell = [](const Spread& spread) {
        return fmt::format("{:.4f} +- {:.4f}", spread.mean, spread.deviation);
    };
    for (const Compared& compared : texts) {
        table.row({compared.text, "all", cell(spreadAt(model, compared, &TapSimilarity::cosine)),
                   cell(spreadAt(model, compared, &TapSimilarity::overlap))});
        for (std::size_t site = 0; site < siteCount; ++site) {
            const auto which = static_cast<TapSite>(site);
            table.row({"", std::string(siteName(which)), cell(spreadAt(model, compared, &TapSimilarity::cosine, which)),
                       cell(spreadAt(model, compared, &TapSimilarity::overlap, which))});
        }
    }
    return table.text() + "\nmean and standard deviation over the blocks\n";
}

void run(Session& session, const Options& options)
{
    const TaskContext context = session.context();
    const std::shared_ptr<const Device> device = options.pass.open();
    const Model model = Model::open(options.model);
    model.requireFinite();
    // All texts are cut into windows before the first statistics: a text that is too short is found at once.
    std::vector<TokenWindows> windows;
    WindowOptions wanted = options.text.windows();
    windows.push_back(makeWindows(*model.tokenizer(), wanted, context));
    for (const std::string& text : options.against) {
        wanted.text = text;
        windows.push_back(makeWindows(*model.tokenizer(), wanted, context));
    }
    const std::filesystem::path cache = defaultRunPlaces().cache;
    const CalibrationSet reference =
        calibrate(model, *device, windows.front(), cache, options.pass.options(), partOf(context, 0, windows.size()));
    constexpr std::size_t usualDirections = 16;
    const std::size_t directions = options.directions.value_or(usualDirections);
    std::vector<std::vector<TapSimilarity>> taps = compareTexts(
        model, *device, reference, std::span(windows).subspan(1), directions, cache, options.pass.options(), context);
    std::vector<Compared> compared;
    for (std::size_t i = 0; i < taps.size(); ++i)
        compared.push_back({options.against[i], std::move(taps[i])});
    session.endProgress();
    if (!session.json) {
        session.out.write(toText(model, compared));
        return;
    }
    Json against = Json::array();
    for (const Compared& each : compared)
        against.push_back(toJson(model, each));
    session.out.json({{"model", model.checkpoint().path().string()},
                      {"text", *options.text.text},
                      {"windows", reference.windows()},
                      {"windowLength", reference.windowLength()},
                      {"directions", directions},
                      {"against", std::move(against)}});
}

} // namespace

void addSimilarity(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = addVerb(
        app, session, "similarity", "How alike the inputs of the linears are on a calibration text and on others",
        "Per input site, the cosine of the vectors of mean |x|, and how much of the first principal directions of the\n"
        "second moments is shared (1: all). Where they differ, what was calibrated on the first text may not hold.\n"
        "\n"
        "Example:\n"
        "  rankwright-cli similarity stories260K --text stories-calibration.txt --against stories-heldout.txt \\\n"
        "    --window 128 --windows 16");
    addModel(*command, options->model);
    addTextOptions(*command, options->text, "that the others are compared with", true);
    command->add_option("--against", options->against, "UTF-8 text to compare, cut into windows alike; may be repeated")
        ->type_name("FILE")
        ->group("Text")
        ->allow_extra_args(false);
    addCount(*command, "--directions", options->directions, "Principal directions that are compared (default: 16)")
        ->type_name("K")
        ->group("Options");
    addPassOptions(*command, options->pass);
    command->callback([&session, options] {
        requireTextAndWindow(options->text, "--");
        if (options->against.empty())
            throw CLI::RequiredError("--against");
        if (options->directions == std::size_t{0})
            throw CLI::ValidationError("--directions", "at least 1 is needed");
        session.work = [&session, options] { run(session, *options); };
    });
}

} // namespace rankwright::cli
