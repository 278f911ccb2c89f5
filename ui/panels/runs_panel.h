#pragma once

#include "ui/models/run_plot.h"
#include "ui/models/text_table.h"
#include "ui/session/session.h"

#include <QWidget>

#include <array>
#include <functional>
#include <vector>

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QMenu;
class QTableView;
class QToolButton;

namespace rankwright::ui {

class PlotWidget;
class RunTableModel;

/// All experiments: a table to filter, sort and write tags and notes in, and what their size buys in perplexity.
class RunsPanel : public QWidget
{
    Q_OBJECT

public:
    explicit RunsPanel(Session& session, QWidget* parent = nullptr);

    RunTableModel* model() const { return m_model; }
    QTableView* table() const { return m_table; }
    PlotWidget* plot() const { return m_plot; }
    /// The run that a series and point of the plot stand for; 0 for none.
    std::int64_t runAt(int series, int point) const { return m_shownPlot.runAt(series, point); }

    /// In the order of the table.
    std::vector<std::int64_t> selectedRuns() const;
    void selectRuns(const std::vector<std::int64_t>& runs);
    /// Visible columns of the selected rows, or of all where none is selected. Made in the background.
    void makeText(TableFormat format, const std::function<void(const QByteArray&)>& then);
    void copyTable(TableFormat format);
    void saveTable(const QString& path);

signals:
    void message(const QString& text);
    /// The measured losses of a run are wanted in the map.
    void mapRequested();
    void compareRequested(const std::vector<std::int64_t>& runs);
    void exportRequested(qint64 run);

protected:
    void showEvent(QShowEvent* event) override;

private:
    void createTop();
    void createTable();
    void createActions();
    QAction* addAction(const QString& name, const QString& text, const QString& tip, const QKeySequence& shortcut,
                       const std::function<void()>& call);
    void connectAll();
    void arranged();
    void restoreSelection();
    void selectionChanged();
    void refreshColumns();
    void refreshTexts();
    void refreshActions();
    void refreshCount();
    void replot();
    void showPlot();
    void showHovered(int series, int point);
    void askAndSave(TableFormat format);
    void askAndDelete();
    void showInMap();
    void takeRecipe();
    /// The one selected run, or null.
    const RunSummary* selectedRun() const;
    RunCost cost() const;

    Session& m_session;
    RunTableModel* m_model;
    QLineEdit* m_filter;
    QComboBox* m_text;
    QCheckBox* m_differing;
    QLabel* m_count;
    QTableView* m_table;
    QComboBox* m_cost;
    QLabel* m_hovered;
    PlotWidget* m_plot;
    QAction* m_compare = nullptr;
    QAction* m_show = nullptr;
    QAction* m_take = nullptr;
    QAction* m_resume = nullptr;
    QAction* m_export = nullptr;
    QAction* m_delete = nullptr;
    std::array<QAction*, runColumnCount> m_columns{}; ///< checked: wanted by the user
    std::vector<std::int64_t> m_selected;
    bool m_restoring = false;
    bool m_plotStale = true;
    RunPlot m_plotted;   ///< without the selected runs
    RunPlot m_shownPlot; ///< with them
    LatestRequest m_plotting;
    LatestRequest m_taking;
    Background m_background{1};
};

} // namespace rankwright::ui
