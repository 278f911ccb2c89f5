#pragma once

#include "ui/session/session.h"

#include <QWidget>

class QTableView;
class QToolButton;

namespace rankwright::ui {

class JobModel;

/// The queue: progress of each job, order, cancel, and what was cut off.
class JobsPanel : public QWidget
{
    Q_OBJECT

public:
    explicit JobsPanel(Session& session, QWidget* parent = nullptr);

private:
    int chosen() const;
    void refreshButtons();
    void refreshInterrupted();

    Session& m_session;
    JobModel* m_model;
    QTableView* m_table;
    QToolButton* m_cancel;
    QToolButton* m_up;
    QToolButton* m_down;
    QToolButton* m_folder;
    QToolButton* m_resume;
    std::int64_t m_interrupted = 0;
};

} // namespace rankwright::ui
