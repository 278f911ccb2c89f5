#include "core/experiment/forecast_plan.h"

#include "core/allocation/plan_totals.h"
#include "core/base/error.h"
#include "core/decomposition/group.h"
#include "core/evaluation/evaluation.h"
#include "core/experiment/compression.h"
#include "core/experiment/run_calibration.h"
#include "core/experiment/run_evaluation.h"
#include "core/experiment/sensitivities.h"

#include <cmath>
#include <fmt/format.h>
#include <set>

namespace rankwright {

namespace {

PlannedForecast planAt(double ratio, const RunJob& job, const std::vector<AllocationItem>& items,
                       const std::vector<std::vector<double>>& curves)
{
    const AllocationPlan plan = allocate(job.recipe.allocation, storedStructure(job.recipe), ratio, items);
    PlannedForecast planned{.targetKeptRatio = ratio, .perplexities = {}};
    for (std::size_t i = 0; i < plan.ranks.size(); ++i) {
        if (plan.ranks[i].structure != StructureKind::Dense)
            planned.nats += curves[i].at(plan.ranks[i].rank);
    }
    const PlanTotals totals = planTotals(job.model, job.linears, plan, job.recipe.storage);
    planned.keptRatio = totals.keptRatio;
    planned.wholeModelRatio = totals.wholeModelRatio;
    planned.bytes = totals.bytes;
    return planned;
}

} // namespace

std::vector<ForecastPoint> forecastPoints(std::span<const RunSummary> runs)
{
    std::vector<ForecastPoint> points;
    std::set<std::pair<std::string, std::string>> known;
    for (const RunSummary& run : runs) {
        if (run.state != RunState::Finished || !std::isfinite(run.predictedNats) || run.vocabulary == 0)
            continue;
        for (const RunPerplexity& measured : run.perplexities)
            if (known.emplace(run.fingerprint, measured.text).second)
                points.push_back({run.id, run.modelFingerprint, measured.text, run.method, run.predictedNats,
                                  measured.original, measured.compressed, run.vocabulary});
    }
    return points;
}

std::vector<ForecastPoint> forecastPoints(const Store& store)
{
    return forecastPoints(std::span<const RunSummary>(store.runs()));
}

std::vector<PlannedForecast> forecastRecipe(Recipe recipe, std::span<const double> keptRatios, Store& store,
                                            const RunPlaces& places, const TaskContext& context)
{
    recipe.forecast = true;
    recipe.sequential = SequentialMode::Dense;
    validateRecipe(recipe);
    const Method& method = findMethod(recipe.method);
    if (!method.groups().empty() && !method.sharesLatents())
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("method {} treats linears in groups, whose losses in nats are known after a run only: "
                                "run it with --forecast",
                                method.name()));
    const std::shared_ptr<const Device> device = openDevice(recipe.device, recipe.threads);
    const PassOptions options{.threads = recipe.threads, .memoryLimit = recipe.memoryLimit, .scratchFolder = {}};
    const Model model = Model::open(recipe.model);
    requireContext(recipe, model);
    model.requireFinite();
    const RunCalibration calibration(recipe, model, context);
    const RunTexts texts = openTexts(recipe, model, context);
    requireEvaluationMemory(model, texts, options);
    const RunObserver observer;
    RunJob job{.recipe = recipe,
               .model = model,
               .device = *device,
               .method = method,
               .context = context,
               .observer = observer,
               .fingerprint = {},
               .folder = {},
               .linears = chosenLinears(model, recipe),
               .threads = effectiveThreads(options),
               .memoryLimit = effectiveMemoryLimit(options)};

    Compression compression(job);
    std::vector<AllocationItem> items = compression.items();
    Recipe at = recipe;
    for (const double ratio : keptRatios) { // what no plan can keep is found before the work
        at.keptRatio = ratio;
        firstPlan(at, items);
    }
    const CalibrationSet moments = calibration.moments(*device, places.cache, options, context);
    const CalibrationSet gradients = calibration.gradients(*device, places.cache, options, context);
    compression.useStatistics(&moments);
    compression.useGradients(&gradients);
    compression.analyseAll(items);
    const std::string fingerprint = modelFingerprint(model);
    if (findAllocator(recipe.allocation).needsPerplexities)
        measureSensitivities(job, compression,
                             {.calibration = calibration.windows(),
                              .modelFingerprint = fingerprint,
                              .calibrationFingerprint = calibration.fingerprint()},
                             store, options, items);
    if (findAllocator(recipe.allocation).needsBlockInfluence)
        measureBlockInfluence(job, calibration.windows(), options, items);

    std::vector<PlannedForecast> forecasts;
    forecasts.reserve(keptRatios.size());
    for (const double ratio : keptRatios)
        forecasts.push_back(planAt(ratio, job, items, compression.curvesInNats()));

    const std::vector<ForecastPoint> points = forecastPoints(store);
    for (std::size_t i = 0; i < texts.evaluations.size(); ++i) {
        const std::string name = evaluationName(recipe.evaluations[i]);
        const double dense =
            densePerplexity(model, *device, texts.evaluations[i], store, fingerprint, options, context).perplexity;
        const Forecaster forecaster(points, fingerprint, name, recipe.method, dense, model.config().vocabularySize);
        for (PlannedForecast& planned : forecasts)
            planned.perplexities.emplace_back(name, forecaster.at(planned.nats));
    }
    return forecasts;
}

} // namespace rankwright
