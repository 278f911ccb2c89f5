#include "core/experiment/spectra.h"
#include "app/cli/options.h"
#include "app/cli/run_report.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/experiment/places.h"
#include "core/experiment/recipe.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string model;
    std::vector<std::string> linears;
    std::optional<std::string> methodName;
    std::vector<std::string> parameterTexts;
    WindowChoice calibration;
    GradientChoice gradients;
    PassChoice pass;

    const Method* method = nullptr;
    MethodParameters parameters;
    CurvatureOptions curvature;

    bool takesGradients() const { return method->needsGradients() || gradients.given(); }
    bool takesStatistics() const { return takesGradients() || needsStatistics(*method, parameters); }
};

std::vector<const LinearInfo*> chosenLinears(const Model& model, const std::vector<std::string>& patterns)
{
    Recipe recipe;
    recipe.only = patterns;
    std::vector<const LinearInfo*> chosen;
    for (const LinearInfo& linear : model.linears())
        if (recipeSelects(recipe, linear))
            chosen.push_back(&linear);
    for (const std::string& pattern : patterns) {
        recipe.only = {pattern};
        if (std::ranges::none_of(model.linears(),
                                 [&](const LinearInfo& linear) { return recipeSelects(recipe, linear); }))
            model.linear(pattern); // throws, naming the nearest
    }
    return chosen;
}

/// Of the method's linears in plain factors.
Structure structureOf(const Options& options)
{
    return {StructureKind::Factors, options.method->sparseShare(options.parameters)};
}

/// Not where every rank has an S of its own: alternating at all of them would take hours.
bool exactCurve(const Options& options)
{
    return structureOf(options).sparseShare == 0.0;
}

std::vector<LinearSpectrum> analyseAll(const Options& options, const Model& model,
                                       const std::vector<const LinearInfo*>& linears, const TaskContext& context)
{
    const std::shared_ptr<const Device> device = options.pass.open();
    const std::filesystem::path cache = defaultRunPlaces().cache;
    std::optional<CalibrationSet> statistics;
    std::optional<CalibrationSet> gradients;
    if (options.calibration.given()) {
        const TokenWindows windows = makeWindows(*model.tokenizer(), options.calibration.windows(), context);
        statistics.emplace(calibrate(model, *device, windows, cache, options.pass.options(), context));
        if (options.takesGradients())
            gradients.emplace(
                calibrateCurvature(model, *device, windows, options.curvature, cache, options.pass.options(), context));
    }
    return analyseLinears(model, *device, *options.method, options.parameters, linears,
                          statistics ? &*statistics : nullptr, gradients ? &*gradients : nullptr, exactCurve(options),
                          options.pass.options(), context);
}

Json toJson(const Options& options, const Model& model, const std::vector<LinearSpectrum>& spectra)
{
    Json linears = Json::array();
    for (const LinearSpectrum& spectrum : spectra) {
        const LinearInfo& linear = model.linears()[spectrum.linear];
        Json nats;
        if (!spectrum.nats.empty())
            nats = spectrum.nats;
        linears.push_back({{"name", linear.name},
                           {"rows", linear.shape.rows},
                           {"columns", linear.shape.columns},
                           {"singularValues", spectrum.singularValues},
                           {"loss", spectrum.loss},
                           {"exact", spectrum.exact},
                           {"nats", std::move(nats)},
                           {"energy", cumulativeEnergy(spectrum.singularValues)},
                           {"totalEnergy", spectrum.totalEnergy},
                           {"effectiveRank", effectiveRank(spectrum.singularValues)},
                           {"stableRank", stableRank(spectrum.singularValues)},
                           {"breakEvenRank", breakEvenRank(structureOf(options), spectrum.shape)}});
    }
    return {{"model", options.model}, {"method", options.method->name()}, {"linears", std::move(linears)}};
}

/// Nats, or relative error without gradients, at the rank that keeps a share of the parameters as factors; of linears
/// that share their latents, of those of all of them.
std::string costAt(Structure structure, const LinearSpectrum& spectrum, double keptRatio, bool inNats)
{
    const std::size_t rank = rankForKeptRatio(structure, spectrum.shape, keptRatio);
    if (inNats)
        return spectrum.nats.empty() ? "" : fmt::format("{:.3g}", spectrum.nats[rank]);
    const double total = spectrum.totalEnergy;
    return fmt::format("{:.4f}", total > 0.0 ? std::sqrt(std::max(spectrum.loss[rank], 0.0) / total) : 0.0);
}

/// What the last columns are.
std::string costNote(const Options& options)
{
    if (options.takesGradients())
        return "nats: what the change of the linear adds to the loss per token, to second order, where factors keep "
               "that share of its parameters; none of linears that are treated together";
    return fmt::format("error: root of the loss over {}, where factors keep that share of the linear's parameters{}",
                       lossTotal(*options.method, options.parameters, options.calibration.given()),
                       exactCurve(options) ? "" : ", with their sparse part; of a planning curve, not exact");
}

std::string toText(const Options& options, const Model& model, const std::vector<LinearSpectrum>& spectra)
{
    const bool weighted = needsStatistics(*options.method, options.parameters);
    const bool inNats = options.takesGradients();
    std::string result =
        fmt::format("{}: singular values of {} ({})\n\n", oneLine(options.model),
                    weighted ? "what the method truncates, weights times input statistics" : "the weights",
                    options.method->title());
    Table table({{"linear", Table::Align::Left},
                 {"rows x columns"},
                 {"largest"},
                 {"smallest"},
                 {"effective rank"},
                 {"stable rank"},
                 {"break-even"},
                 {inNats ? "nats at 0.8" : "error at 0.8"},
                 {"at 0.6"},
                 {"at 0.4"}});
    const Structure structure = structureOf(options);
    for (const LinearSpectrum& spectrum : spectra) {
        const LinearInfo& linear = model.linears()[spectrum.linear];
        table.row({linear.name, fmt::format("{} x {}", linear.shape.rows, linear.shape.columns),
                   fmt::format("{:.4g}", spectrum.singularValues.front()),
                   fmt::format("{:.4g}", spectrum.singularValues.back()),
                   fmt::format("{:.1f}", effectiveRank(spectrum.singularValues)),
                   fmt::format("{:.1f}", stableRank(spectrum.singularValues)),
                   std::to_string(breakEvenRank(structure, spectrum.shape)), costAt(structure, spectrum, 0.8, inNats),
                   costAt(structure, spectrum, 0.6, inNats), costAt(structure, spectrum, 0.4, inNats)});
    }
    return result + table.text() + '\n' + costNote(options) + '\n';
}

void prepare(Options& options)
{
    const std::string name = options.methodName.value_or(options.calibration.given() ? "whitened-svd" : "svd");
    readOption("--method", [&] { options.method = &findMethod(name); });
    for (const std::string& text : options.parameterTexts) {
        const auto [parameter, value] = splitAssignment("--parameter", text);
        readOption("--parameter", [&, &name = parameter, &text = value] {
            options.parameters.emplace_back(name, parameterFromText(*options.method, name, text));
        });
    }
    readOption("--parameter", [&] { checkParameters(*options.method, options.parameters); });
    options.gradients.apply(options.curvature);
    options.curvature.weightMoments = options.method->needsWeightMoments();
    if (options.takesStatistics() || options.calibration.given())
        requireTextAndWindow(options.calibration, "--calibration-");
}

} // namespace

void addSpectra(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = addVerb(
        app, session, "spectra", "Singular values and the loss of every rank, per linear, before any run",
        "Without calibration text the weights themselves are analysed (method svd). --json gives per linear the "
        "singular\n"
        "values, the loss at rank 0 to min(rows, columns), and the cumulative share of the energy at each singular "
        "value;\n"
        "with gradients (methods with losses in nats, or --curvature) also the loss in nats per token at every "
        "rank.\n"
        "\n"
        "Examples:\n"
        "  rankwright-cli spectra stories260K --linear q --linear 'model.layers.0.*'\n"
        "  rankwright-cli spectra stories260K --method whitened-svd --calibration-text stories-calibration.txt \\\n"
        "      --calibration-window 256 --calibration-windows 128");
    addModel(*command, options->model);
    command
        ->add_option("--linear", options->linears,
                     "Only this linear: a name, a pattern with * and ?, or a role such as q or down; may be repeated")
        ->type_name("PATTERN")
        ->allow_extra_args(false)
        ->group("Options");
    command
        ->add_option("--method", options->methodName,
                     "Whose matrix is analysed (default: svd, or whitened-svd with a calibration text)")
        ->type_name("METHOD")
        ->group("Options");
    command->add_option("--parameter", options->parameterTexts, "Parameter of the method; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false)
        ->group("Options");
    addCalibrationOptions(*command, options->calibration);
    addGradientOptions(*command, options->gradients,
                       "for losses in nats, taken where the method needs them or one of these options is given");
    addPassOptions(*command, options->pass);
    command->callback([&session, options] {
        prepare(*options);
        session.work = [&session, options] {
            const Model model = Model::open(options->model);
            model.requireFinite();
            const std::vector<const LinearInfo*> linears = chosenLinears(model, options->linears);
            const std::vector<LinearSpectrum> spectra = analyseAll(*options, model, linears, session.context());
            session.endProgress();
            if (session.json)
                session.out.json(toJson(*options, model, spectra));
            else
                session.out.write(toText(*options, model, spectra));
        };
    });
}

} // namespace rankwright::cli
