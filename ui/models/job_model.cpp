#include "ui/models/job_model.h"

#include "ui/models/linear_tree_model.h"

#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

QString jobStateText(JobState state)
{
    switch (state) {
    case JobState::Queued:
        return JobModel::tr("waits");
    case JobState::Running:
        return JobModel::tr("runs");
    case JobState::Stopping:
        return JobModel::tr("stops");
    case JobState::Finished:
        return JobModel::tr("done");
    case JobState::Cancelled:
        return JobModel::tr("cancelled");
    case JobState::Failed:
        return JobModel::tr("failed");
    }
    return {};
}

QString durationText(double seconds)
{
    const auto whole = static_cast<long long>(std::llround(std::max(seconds, 0.0)));
    if (whole < 90)
        return JobModel::tr("%1 s").arg(whole);
    if (whole < 90 * 60)
        return JobModel::tr("%1 min").arg((whole + 30) / 60);
    return JobModel::tr("%1 h %2 min").arg(whole / 3600).arg(whole % 3600 / 60);
}

namespace {

/// What a job is at, or what became of it.
QString stepText(const Job& job)
{
    if (job.state == JobState::Failed)
        return job.failure.message;
    if (job.over())
        return job.result;
    if (job.state == JobState::Queued)
        return {};
    const JobProgress& progress = job.progress;
    const QString share = percentText(progress.fraction, 0);
    if (progress.total > 0)
        return JobModel::tr("%1, %2: %3 of %4, %5")
            .arg(share, progress.stage)
            .arg(progress.done)
            .arg(progress.total)
            .arg(progress.item);
    QStringList parts{share};
    if (!progress.stage.isEmpty())
        parts.append(progress.item.isEmpty() ? progress.stage : progress.stage + u": "_s + progress.item);
    return parts.join(u", "_s);
}

} // namespace

JobModel::JobModel(JobQueue& jobs, QObject* parent)
    : QAbstractTableModel(parent)
    , m_jobs(jobs)
{
    const auto reset = [this] {
        beginResetModel();
        m_ids.clear();
        for (const Job& job : m_jobs.jobs())
            m_ids.push_back(job.id);
        endResetModel();
    };
    const auto refresh = [this, reset] {
        std::vector<int> ids;
        for (const Job& job : m_jobs.jobs())
            ids.push_back(job.id);
        if (ids != m_ids)
            reset();
        else if (!ids.empty())
            emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1));
    };
    connect(&jobs, &JobQueue::changed, this, refresh);
    connect(&jobs, &JobQueue::progressed, this, [this](int id) {
        const auto found = std::ranges::find(m_ids, id);
        if (found != m_ids.end()) {
            const auto row = static_cast<int>(found - m_ids.begin());
            emit dataChanged(index(row, State), index(row, Left));
        }
    });
    reset();
}

int JobModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_ids.size());
}

int JobModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant JobModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const Job* job = m_jobs.find(m_ids[static_cast<std::size_t>(index.row())]);
    if (job == nullptr)
        return {};
    if (role == IdRole)
        return job->id;
    if (role == BarRole)
        return index.column() == Step && !job->over() ? QVariant(job->progress.fraction) : QVariant();
    if (role == Qt::ToolTipRole)
        return job->state == JobState::Failed ? job->failure.message : job->result;
    if (role != Qt::DisplayRole)
        return {};
    switch (index.column()) {
    case Title:
        return job->title;
    case State:
        return jobStateText(job->state);
    case Step:
        return stepText(*job);
    case Left:
        if (job->over())
            return job->started.isValid() ? durationText(static_cast<double>(job->started.msecsTo(job->ended)) / 1000.0)
                                          : QString();
        return job->progress.secondsLeft >= 0.0 ? tr("%1 left").arg(durationText(job->progress.secondsLeft))
                                                : QString();
    default:
        return {};
    }
}

QVariant JobModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Title:
        return tr("Job");
    case State:
        return tr("State");
    case Step:
        return tr("Step");
    case Left:
        return tr("Time");
    default:
        return {};
    }
}

} // namespace rankwright::ui
