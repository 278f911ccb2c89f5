#include "ui/session/job_work.h"

#include "core/base/bytes.h"
#include "core/base/task_part.h"
#include "core/calibration/similarity.h"
#include "core/experiment/run_calibration.h"
#include "ui/session/job_queue.h"
#include "ui/session/text.h"

namespace rankwright::ui {

namespace {

PassOptions passOptions(const Recipe& recipe)
{
    return {.threads = recipe.threads, .memoryLimit = recipe.memoryLimit, .scratchFolder = {}};
}

TaskContext contextFor(const std::shared_ptr<JobFeed>& feed, const std::stop_token& stop)
{
    return {.stop = stop,
            .progress = [feed](const Progress& progress) { feed->add(progress); },
            .event = [feed](const NumericEvent& event) { feed->add(event); }};
}

void compress(Job& job, Store& store, const RunPlaces& places, const std::shared_ptr<JobFeed>& feed,
              const std::stop_token& stop)
{
    const RunObserver observer{.started = [feed](std::int64_t run) { feed->add(run); },
                               .planned = [feed](const AllocationPlan& plan) { feed->add(plan); },
                               .linearDone = [feed](const LinearOutcome& linear) { feed->add(linear); },
                               .evaluated = {},
                               .trained = [feed](const TrainingPoint& point) { feed->add(point); }};
    const RunResult result = runRecipe(job.recipe, store, places, contextFor(feed, stop), observer);
    job.run = result.id;
    job.folder = result.exportFolder.empty() ? result.folder : result.exportFolder;
    QStringList parts;
    for (const EvaluationOutcome& evaluation : result.evaluations)
        parts.append(JobQueue::tr("perplexity %1 on %2, originally %3")
                         .arg(evaluation.compressed.perplexity, 0, 'g', 5)
                         .arg(toQString(evaluation.name))
                         .arg(evaluation.original.perplexity, 0, 'g', 5));
    parts.append(JobQueue::tr("kept %1 % of the linears, %2 % of the model, %3")
                     .arg(100.0 * result.keptRatio, 0, 'f', 2)
                     .arg(100.0 * result.wholeModelRatio, 0, 'f', 2)
                     .arg(toQString(formatBytes(result.bytes))));
    job.result = JobQueue::tr("run %1: %2").arg(QString::number(result.id), parts.join(QStringLiteral("; ")));
}

void calibrateText(Job& job, const RunPlaces& places, const std::shared_ptr<JobFeed>& feed, const std::stop_token& stop)
{
    const TaskContext context = contextFor(feed, stop);
    context.report("open", {}, 0, 0);
    const Model model = Model::open(job.recipe.model);
    model.requireFinite();
    const auto device = openDevice(job.recipe.device, job.recipe.threads);
    const RunCalibration calibration(job.recipe, model, context);
    const PassOptions options = passOptions(job.recipe);
    const CalibrationSet set = calibration.moments(*device, places.cache, options, context);
    if (takesGradients(job.recipe))
        calibration.gradients(*device, places.cache, options, context);
    job.folder = set.folder();
    job.result = set.reused()
                     ? JobQueue::tr("statistics of %1 windows were there already").arg(set.windows())
                     : JobQueue::tr("statistics of %1 windows of %2 tokens").arg(set.windows()).arg(set.windowLength());
}

/// What forecasts of the recipe start from.
void measureOriginal(Job& job, Store& store, const std::shared_ptr<JobFeed>& feed, const std::stop_token& stop)
{
    const TaskContext context = contextFor(feed, stop);
    context.report("open", {}, 0, 0);
    const Model model = Model::open(job.recipe.model);
    model.requireFinite();
    const auto device = openDevice(job.recipe.device, job.recipe.threads);
    const std::string fingerprint = modelFingerprint(model);
    const PassOptions options = passOptions(job.recipe);
    const std::size_t texts = job.recipe.evaluations.size();
    QStringList results;
    for (std::size_t i = 0; i < texts; ++i) {
        const EvaluationText& text = job.recipe.evaluations[i];
        const std::string name = evaluationName(text);
        const TaskContext whole = partOf(context, i, texts);
        TaskContext part = whole;
        part.progress = [&](const Progress& progress) {
            whole.report("evaluate", name, progress.done, progress.total);
        };
        const TokenWindows windows = makeWindows(*model.tokenizer(), text.windows, context);
        const PerplexityResult result = densePerplexity(model, *device, windows, store, fingerprint, options, part);
        const QString perplexity = QString::number(result.perplexity, 'g', 5);
        // The title of the job says what it is of; with several texts each is named.
        results.append(texts == 1 ? JobQueue::tr("perplexity %1").arg(perplexity)
                                  : JobQueue::tr("perplexity %1 on %2").arg(perplexity, toQString(name)));
    }
    job.result = results.join(QStringLiteral("; "));
}

/// How alike the calibration text, or the mixture of several, and the other texts are, all cut alike.
void compareCalibration(Job& job, const RunPlaces& places, const std::shared_ptr<JobFeed>& feed,
                        const std::stop_token& stop)
{
    const TaskContext context = contextFor(feed, stop);
    context.report("open", {}, 0, 0);
    const Model model = Model::open(job.recipe.model);
    model.requireFinite();
    const auto device = openDevice(job.recipe.device, job.recipe.threads);
    // All texts are cut into windows before the first statistics: a text that is too short is found at once.
    const RunCalibration calibration(job.recipe, model, context);
    std::vector<TokenWindows> windows;
    windows.reserve(job.texts.size());
    WindowOptions wanted = *job.recipe.calibration;
    for (const std::filesystem::path& text : job.texts) {
        wanted.text = text;
        windows.push_back(makeWindows(*model.tokenizer(), wanted, context));
    }
    const PassOptions options = passOptions(job.recipe);
    const CalibrationSet reference =
        calibration.moments(*device, places.cache, options, partOf(context, 0, windows.size() + 1));
    SimilarityStudy study{.recipe = job.recipe, .texts = job.texts, .directions = job.directions, .taps = {}};
    study.taps = compareTexts(model, *device, reference, windows, job.directions, places.cache, options, context);
    job.similarity = std::make_shared<const SimilarityStudy>(std::move(study));
    job.result = JobQueue::tr("%1 texts compared on %2 windows of %3 tokens each")
                     .arg(job.texts.size())
                     .arg(reference.windows())
                     .arg(reference.windowLength());
}

void exportKept(Job& job, Store& store, const std::shared_ptr<JobFeed>& feed, const std::stop_token& stop)
{
    const auto device = openDevice("cpu");
    const ExportResult result = exportRun(store, job.run, job.runExport, *device, contextFor(feed, stop));
    job.folder = result.folder;
    job.result = JobQueue::tr("%1 in %2 files; read back with the same logits within %3 of the largest")
                     .arg(toQString(formatBytes(result.bytes)))
                     .arg(result.files.size())
                     .arg(result.largestLogitDifference, 0, 'g', 2);
    job.exported = result;
}

} // namespace

StageShares stagesOf(const Job& job)
{
    switch (job.kind) {
    case JobKind::Calibrate:
        return StageShares({{"open", 0.02}, {"calibrate", 0.4}, {"curvature", takesGradients(job.recipe) ? 0.6 : 0.0}});
    case JobKind::Measure:
        return StageShares({{"open", 0.02}, {"evaluate", 0.98}});
    case JobKind::Compare:
        return StageShares({{"open", 0.02}, {"calibrate", 0.9}, {"compare", 0.08}});
    case JobKind::Export:
        return StageShares({{"export", 1.0}});
    case JobKind::Compress:
        break;
    }
    const Recipe& recipe = job.recipe;
    return StageShares({{"open", 0.02},
                        {"calibrate", recipe.calibration ? 0.28 : 0.0},
                        {"curvature", takesGradients(recipe) ? 0.4 : 0.0},
                        {"analyse", findAllocator(recipe.allocation).needsAnalyses() ? 0.25 : 0.0},
                        {"sensitivity", findAllocator(recipe.allocation).needsPerplexities ? 8.0 : 0.0},
                        {"factorise", 0.35},
                        {"distill", distillationOf(recipe) ? 2.0 : 0.0},
                        {"recover", recipe.recovery ? 4.0 : 0.0},
                        {"evaluate", recipe.evaluations.empty() ? 0.0 : 0.35},
                        {"export", recipe.out.empty() ? 0.0 : 0.1}});
}

void workOn(Job& job, Store* store, const RunPlaces& places, const std::shared_ptr<JobFeed>& feed,
            const std::stop_token& stop)
{
    if (store == nullptr && job.kind != JobKind::Calibrate && job.kind != JobKind::Compare)
        throw Error(ErrorKind::Io, "the store of experiments is not open; see the message about it, or choose another "
                                   "store file");
    switch (job.kind) {
    case JobKind::Compress:
        compress(job, *store, places, feed, stop);
        break;
    case JobKind::Calibrate:
        calibrateText(job, places, feed, stop);
        break;
    case JobKind::Measure:
        measureOriginal(job, *store, feed, stop);
        break;
    case JobKind::Compare:
        compareCalibration(job, places, feed, stop);
        break;
    case JobKind::Export:
        exportKept(job, *store, feed, stop);
        break;
    }
}

} // namespace rankwright::ui
