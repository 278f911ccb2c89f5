#pragma once

#include "ui/models/run_comparison_model.h"
#include "ui/session/session.h"

#include <QDialog>

#include <optional>
#include <vector>

class QComboBox;
class QLabel;
class QTableView;
class QTableWidget;
class QTabWidget;

namespace rankwright::ui {

class PlotWidget;

/// Two or more runs side by side: figures, recipe values that differ, every linear, and their ranks overlaid.
class RunComparisonDialog : public QDialog
{
    Q_OBJECT

public:
    RunComparisonDialog(Session& session, const std::vector<std::int64_t>& runs, QWidget* parent = nullptr);

    /// Null until all runs are read.
    RunComparisonPtr comparison() const { return m_comparison; }
    QTableWidget* overview() const { return m_overview; }
    QTableView* linears() const { return m_linears; }
    PlotWidget* plot() const { return m_plot; }

private:
    void take(std::size_t place, Outcome<RunRecord> outcome);
    void showRecords(std::vector<RunRecord> records);
    void fillOverview();
    void fillLinears();
    void replot();

    std::vector<std::optional<RunRecord>> m_records;
    RunComparisonPtr m_comparison;
    QLabel* m_state;
    QTabWidget* m_tabs;
    QTableWidget* m_overview;
    QTableView* m_linears;
    QComboBox* m_quantity;
    QComboBox* m_role;
    PlotWidget* m_plot;
};

} // namespace rankwright::ui
