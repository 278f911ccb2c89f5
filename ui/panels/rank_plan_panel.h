#pragma once

#include "ui/session/session.h"

#include <QTimer>
#include <QWidget>

class QComboBox;
class QLabel;
class QPushButton;
class QToolButton;

namespace rankwright::ui {

class RankBars;

/// Ranks of all linears as bars that are dragged; allocator, plan behind, locks, named plans.
class RankPlanPanel : public QWidget
{
    Q_OBJECT

public:
    explicit RankPlanPanel(Session& session, QWidget* parent = nullptr);

    RankBars* bars() const { return m_bars; }

private:
    void rebuild();
    void refresh();
    void keepPlan();
    void keepPlanAs(const QString& name);
    void refreshNamed();
    /// Shows the name of the plan as it is, where it has one.
    void markNamed();

    Session& m_session;
    QComboBox* m_allocator;
    QComboBox* m_structure;
    QComboBox* m_storage;
    QComboBox* m_ghost;
    QComboBox* m_named;
    QToolButton* m_forget;
    QPushButton* m_reallocate;
    QLabel* m_state;
    RankBars* m_bars;
    bool m_syncing = false;
};

} // namespace rankwright::ui
