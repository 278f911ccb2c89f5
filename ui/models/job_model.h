#pragma once

#include "ui/session/job_queue.h"

#include <QAbstractTableModel>

namespace rankwright::ui {

/// The queue of jobs, the newest at the end.
class JobModel : public QAbstractTableModel
{
    Q_OBJECT

public:
    enum Column { Title, State, Step, Left, ColumnCount };
    enum Role { IdRole = Qt::UserRole, BarRole };

    explicit JobModel(JobQueue& jobs, QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    JobQueue& m_jobs;
    std::vector<int> m_ids; ///< shown rows
};

QString jobStateText(JobState state);
/// "45 s", "3 min", "2 h 5 min".
QString durationText(double seconds);

} // namespace rankwright::ui
