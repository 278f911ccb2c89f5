#include "ui/session/job_queue.h"

#include "core/base/bytes.h"
#include "core/calibration/statistics.h"
#include "core/experiment/run_calibration.h"
#include "ui/session/job_feed.h"
#include "ui/session/text.h"

#include <algorithm>

namespace rankwright::ui {

namespace {

constexpr int updateMilliseconds = 50;

/// Rough shares of the time; estimates of a run refine the bar, they never decide anything.
StageShares sharesOf(const Job& job)
{
    switch (job.kind) {
    case JobKind::Calibrate:
        return StageShares({{"open", 0.02}, {"calibrate", 0.4}, {"curvature", takesGradients(job.recipe) ? 0.6 : 0.0}});
    case JobKind::Measure:
        return StageShares({{"open", 0.02}, {"evaluate", 0.98}});
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
                        {"factorise", 0.35},
                        {"distill", distillationOf(recipe) ? 2.0 : 0.0},
                        {"recover", recipe.recovery ? 4.0 : 0.0},
                        {"evaluate", recipe.evaluations.empty() ? 0.0 : 0.35},
                        {"export", recipe.out.empty() ? 0.0 : 0.1}});
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
    job.result = JobQueue::tr("run %1: kept %2 % of the linears, %3 % of the model, %4")
                     .arg(result.id)
                     .arg(100.0 * result.keptRatio, 0, 'f', 2)
                     .arg(100.0 * result.wholeModelRatio, 0, 'f', 2)
                     .arg(toQString(formatBytes(result.bytes)));
    for (const EvaluationOutcome& evaluation : result.evaluations)
        job.result += JobQueue::tr("; perplexity on %1 %2, originally %3")
                          .arg(toQString(evaluation.name))
                          .arg(evaluation.compressed.perplexity, 0, 'g', 5)
                          .arg(evaluation.original.perplexity, 0, 'g', 5);
}

void calibrateText(Job& job, const RunPlaces& places, const std::shared_ptr<JobFeed>& feed, const std::stop_token& stop)
{
    const TaskContext context = contextFor(feed, stop);
    context.report("open", {}, 0, 0);
    const Model model = Model::open(job.recipe.model);
    model.requireFinite();
    const auto device = openDevice(job.recipe.device, job.recipe.threads);
    const RunCalibration calibration(job.recipe, model, context);
    const PassOptions options{
        .threads = job.recipe.threads, .memoryLimit = job.recipe.memoryLimit, .scratchFolder = {}};
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
    const PassOptions options{
        .threads = job.recipe.threads, .memoryLimit = job.recipe.memoryLimit, .scratchFolder = {}};
    const std::size_t texts = job.recipe.evaluations.size();
    QStringList results;
    for (std::size_t i = 0; i < texts; ++i) {
        const EvaluationText& text = job.recipe.evaluations[i];
        const std::string name = evaluationName(text);
        TaskContext part = context;
        part.progress = [&](const Progress& progress) {
            context.report("evaluate", name, i * progress.total + progress.done, texts * progress.total);
        };
        const TokenWindows windows = makeWindows(*model.tokenizer(), text.windows, context);
        const PerplexityResult result = densePerplexity(model, *device, windows, store, fingerprint, options, part);
        results.append(
            JobQueue::tr("perplexity of the original on %1 %2").arg(toQString(name)).arg(result.perplexity, 0, 'g', 5));
    }
    job.result = results.join(QStringLiteral("; "));
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

JobQueue::JobQueue(RunStore& store, RunPlaces places, QObject* parent)
    : QObject(parent)
    , m_store(store)
    , m_places(std::move(places))
{
    m_timer.setInterval(updateMilliseconds);
    connect(&m_timer, &QTimer::timeout, this, &JobQueue::drain);
}

JobQueue::~JobQueue()
{
    m_stop.request_stop();
}

Job* JobQueue::findJob(int id)
{
    const auto found = std::ranges::find(m_jobs, id, &Job::id);
    return found == m_jobs.end() ? nullptr : &*found;
}

const Job* JobQueue::find(int id) const
{
    const auto found = std::ranges::find(m_jobs, id, &Job::id);
    return found == m_jobs.end() ? nullptr : &*found;
}

const Job* JobQueue::running() const
{
    const auto found = std::ranges::find_if(m_jobs, &Job::active);
    return found == m_jobs.end() ? nullptr : &*found;
}

bool JobQueue::idle() const
{
    return std::ranges::all_of(m_jobs, &Job::over);
}

int JobQueue::add(Job job)
{
    job.id = m_nextId++;
    const int id = job.id;
    m_jobs.push_back(std::move(job));
    emit changed();
    startNext();
    return id;
}

int JobQueue::addCompression(const Recipe& recipe)
{
    Job job;
    job.kind = JobKind::Compress;
    job.recipe = recipe;
    job.title = recipe.name.empty() ? tr("%1, kept %2 %")
                                          .arg(toQString(findMethod(recipe.method).title()))
                                          .arg(100.0 * recipe.keptRatio, 0, 'f', 1)
                                    : toQString(recipe.name);
    return add(std::move(job));
}

int JobQueue::addCalibration(const Recipe& recipe)
{
    Job job;
    job.kind = JobKind::Calibrate;
    job.recipe = recipe;
    job.title = tr("Calibrate on %1").arg(toQString(recipe.calibration->text.filename()));
    return add(std::move(job));
}

int JobQueue::addMeasurement(const Recipe& recipe)
{
    QStringList texts;
    for (const EvaluationText& text : recipe.evaluations)
        texts.append(toQString(evaluationName(text)));
    Job job;
    job.kind = JobKind::Measure;
    job.recipe = recipe;
    job.title = tr("Perplexity of the original on %1").arg(texts.join(QStringLiteral(", ")));
    return add(std::move(job));
}

int JobQueue::addExport(std::int64_t run, const RunExport& runExport, const QString& title)
{
    Job job;
    job.kind = JobKind::Export;
    job.run = run;
    job.runExport = runExport;
    job.title = title;
    return add(std::move(job));
}

void JobQueue::cancel(int id)
{
    Job* job = findJob(id);
    if (job == nullptr || job->over())
        return;
    if (job->state == JobState::Queued) {
        job->state = JobState::Cancelled;
        job->ended = QDateTime::currentDateTime();
        emit changed();
        emit ended(id);
        return;
    }
    job->state = JobState::Stopping;
    m_stop.request_stop();
    emit changed();
}

void JobQueue::cancelAll()
{
    for (std::size_t i = m_jobs.size(); i-- > 0;)
        cancel(m_jobs[i].id);
}

void JobQueue::move(int id, int places)
{
    const auto found = std::ranges::find(m_jobs, id, &Job::id);
    if (found == m_jobs.end() || found->state != JobState::Queued)
        return;
    auto position = found - m_jobs.begin();
    while (places != 0) {
        const auto next = position + (places > 0 ? 1 : -1);
        if (next < 0 || next >= std::ssize(m_jobs) || m_jobs[static_cast<std::size_t>(next)].state != JobState::Queued)
            break;
        std::swap(m_jobs[static_cast<std::size_t>(position)], m_jobs[static_cast<std::size_t>(next)]);
        position = next;
        places += places > 0 ? -1 : 1;
    }
    emit changed();
}

void JobQueue::removeFinished()
{
    std::erase_if(m_jobs, [](const Job& job) { return job.over(); });
    emit changed();
}

void JobQueue::startNext()
{
    if (running() != nullptr)
        return;
    const auto next = std::ranges::find(m_jobs, JobState::Queued, &Job::state);
    if (next != m_jobs.end())
        start(*next);
}

void JobQueue::start(Job& job)
{
    job.state = JobState::Running;
    job.started = QDateTime::currentDateTime();
    m_stop = std::stop_source();
    m_feed = std::make_shared<JobFeed>();
    m_shares = std::make_unique<StageShares>(sharesOf(job));
    m_clock.start();
    m_timer.start();
    const int id = job.id;
    emit changed();
    emit started(id);
    m_background.run(
        this, {},
        [work = job, store = m_store.store(), places = m_places, feed = m_feed, stop = m_stop.get_token()]() mutable {
            if (!store && work.kind != JobKind::Calibrate)
                throw Error(ErrorKind::Io, "the store of experiments is not open; see the message about it, or choose "
                                           "another store file");
            switch (work.kind) {
            case JobKind::Compress:
                compress(work, *store, places, feed, stop);
                break;
            case JobKind::Calibrate:
                calibrateText(work, places, feed, stop);
                break;
            case JobKind::Measure:
                measureOriginal(work, *store, feed, stop);
                break;
            case JobKind::Export:
                exportKept(work, *store, feed, stop);
                break;
            }
            return work;
        },
        [this, id](const Outcome<Job>& outcome) { finish(id, outcome); });
}

void JobQueue::drain()
{
    Job* job = nullptr;
    if (const Job* active = running())
        job = findJob(active->id);
    if (job == nullptr || !m_feed)
        return;
    JobFeed::Content content = m_feed->take();
    const int id = job->id;
    if (content.progress) {
        JobProgress& progress = job->progress;
        progress.stage = toQString(content.progress->stage);
        progress.item = toQString(content.progress->item);
        progress.done = content.progress->done;
        progress.total = content.progress->total;
        progress.fraction = m_shares->fraction(*content.progress);
    }
    const double elapsed = static_cast<double>(m_clock.elapsed()) / 1000.0;
    if (job->progress.fraction > 0.03 && elapsed > 1.0)
        job->progress.secondsLeft = elapsed * (1.0 - job->progress.fraction) / job->progress.fraction;
    if (content.run) {
        job->run = *content.run;
        emit runStarted(id, *content.run);
    }
    if (content.plan)
        emit planned(id, content.plan->ranks);
    if (!content.linears.empty())
        emit linearsDone(id, content.linears);
    if (!content.trained.empty())
        emit trained(id, content.trained);
    if (!content.events.empty())
        emit eventsNoted(id, content.events);
    emit progressed(id);
}

void JobQueue::finish(int id, const Outcome<Job>& outcome)
{
    drain();
    m_timer.stop();
    m_feed.reset();
    if (Job* job = findJob(id)) {
        job->ended = QDateTime::currentDateTime();
        job->progress.secondsLeft = -1.0;
        if (outcome) {
            job->state = JobState::Finished;
            job->progress.fraction = 1.0;
            job->run = outcome->run;
            job->result = outcome->result;
            job->folder = outcome->folder;
            job->exported = outcome->exported;
        } else {
            job->state = outcome.failure.cancelled() ? JobState::Cancelled : JobState::Failed;
            job->failure = outcome.failure;
        }
    }
    m_store.refresh();
    emit changed();
    emit ended(id);
    startNext();
}

} // namespace rankwright::ui
