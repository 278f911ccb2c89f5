#include "ui/session/job_queue.h"

#include "ui/session/job_feed.h"
#include "ui/session/job_work.h"
#include "ui/session/text.h"

#include <algorithm>

namespace rankwright::ui {

namespace {

constexpr int updateMilliseconds = 50;

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
    job.title = tr("Original on %1").arg(texts.join(QStringLiteral(", ")));
    return add(std::move(job));
}

int JobQueue::addComparison(const Recipe& recipe, const std::vector<std::filesystem::path>& texts,
                            std::size_t directions)
{
    QStringList names;
    for (const std::filesystem::path& text : texts)
        names.append(toQString(text.filename()));
    Job job;
    job.kind = JobKind::Compare;
    job.recipe = recipe;
    job.texts = texts;
    job.directions = directions;
    job.title =
        tr("Compare %1 with %2").arg(toQString(recipe.calibration->text.filename()), names.join(QStringLiteral(", ")));
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
    m_shares = std::make_unique<StageShares>(stagesOf(job));
    m_clock.start();
    m_timer.start();
    const int id = job.id;
    emit changed();
    emit started(id);
    m_background.run(
        this, {},
        [work = job, store = m_store.store(), places = m_places, feed = m_feed, stop = m_stop.get_token()]() mutable {
            workOn(work, store.get(), places, feed, stop);
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
            job->similarity = outcome->similarity;
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
