#include "ui/panels/runs_panel.h"

#include "ui/models/run_table_model.h"
#include "ui/panels/elided_label.h"
#include "ui/panels/hinted_table.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QAction>
#include <QCheckBox>
#include <QComboBox>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>

#include <algorithm>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// Selected runs that a line in the plot leads to, at most.
constexpr std::size_t mostLines = 4;

} // namespace

RunsPanel::RunsPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new RunTableModel(session.runs(), this))
    , m_filter(new QLineEdit)
    , m_text(new QComboBox)
    , m_differing(new QCheckBox(tr("only columns that &differ")))
    , m_count(new ElidedLabel)
    , m_table(new HintedTable(tr("No run yet, or none that matches the filter.")))
    , m_cost(new QComboBox)
    , m_hovered(new QLabel)
    , m_plot(new PlotWidget)
{
    createTable();
    createActions();
    createTop();
    connectAll();
    refreshColumns();
    refreshTexts();
    refreshActions();
    refreshCount();
}

void RunsPanel::connectAll()
{
    connect(m_filter, &QLineEdit::textChanged, m_model, &RunTableModel::setFilter);
    connect(m_text, &QComboBox::activated, this, [this] { m_model->setEvaluation(m_text->currentData().toString()); });
    connect(m_differing, &QCheckBox::toggled, this, &RunsPanel::refreshColumns);
    connect(m_model, &QAbstractItemModel::modelAboutToBeReset, this, [this] { m_restoring = true; });
    connect(m_model, &RunTableModel::arranged, this, &RunsPanel::arranged);
    connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this, &RunsPanel::selectionChanged);
    connect(m_table, &QTableView::doubleClicked, this, [this](const QModelIndex& index) {
        if (!(m_model->flags(index) & Qt::ItemIsEditable))
            showInMap();
    });
    connect(m_cost, &QComboBox::currentIndexChanged, this, &RunsPanel::replot);
    connect(m_plot, &PlotWidget::pointHovered, this, &RunsPanel::showHovered);
    connect(m_plot, &PlotWidget::pointClicked, this, [this](int series, int point) {
        if (const std::int64_t run = runAt(series, point); run != 0)
            selectRuns({run});
    });
    connect(&m_session, &Session::modelOpened, this, &RunsPanel::refreshActions);
    connect(&m_session, &Session::modelClosed, this, &RunsPanel::refreshActions);
}

void RunsPanel::arranged()
{
    restoreSelection();
    refreshTexts();
    refreshColumns();
    refreshActions();
    refreshCount();
    replot();
}

void RunsPanel::restoreSelection()
{
    m_restoring = true;
    const RunView& view = *m_model->view();
    std::vector<int> rows;
    for (const std::int64_t run : m_selected)
        if (const auto found = view.rowOf.find(run); found != view.rowOf.end())
            rows.push_back(found->second);
    std::ranges::sort(rows);
    const bool allThere = rows.size() == m_selected.size();
    m_selected.clear();
    for (const int row : rows)
        m_selected.push_back(view.run(row).id);
    // Neighbours become one range: a selection of thousands of ranges is slow.
    QItemSelection selection;
    for (std::size_t i = 0; i < rows.size();) {
        std::size_t end = i + 1;
        while (end < rows.size() && rows[end] == rows[end - 1] + 1)
            ++end;
        selection.append(
            QItemSelectionRange(m_model->index(rows[i], 0), m_model->index(rows[end - 1], runColumnCount - 1)));
        i = end;
    }
    QItemSelectionModel* model = m_table->selectionModel();
    if (model->selection() != selection)
        model->select(selection, QItemSelectionModel::ClearAndSelect);
    if (!rows.empty() && !model->currentIndex().isValid()) {
        const QModelIndex first = m_model->index(rows.front(), 0);
        model->setCurrentIndex(first, QItemSelectionModel::NoUpdate);
        m_table->scrollTo(first);
    }
    m_restoring = false;
    if (!allThere)
        selectionChanged();
}

void RunsPanel::selectionChanged()
{
    if (m_restoring)
        return;
    m_selected.clear();
    const RunView& view = *m_model->view();
    for (const QItemSelectionRange& range : m_table->selectionModel()->selection())
        for (int row = range.top(); row <= range.bottom(); ++row)
            m_selected.push_back(view.run(row).id);
    std::ranges::sort(m_selected, {}, [&view](std::int64_t run) { return view.rowOf.at(run); });
    m_selected.erase(std::unique(m_selected.begin(), m_selected.end()), m_selected.end());
    refreshActions();
    refreshCount();
    showPlot();
}

std::vector<std::int64_t> RunsPanel::selectedRuns() const
{
    return m_selected;
}

void RunsPanel::selectRuns(const std::vector<std::int64_t>& runs)
{
    m_selected = runs;
    m_table->selectionModel()->setCurrentIndex({}, QItemSelectionModel::NoUpdate);
    restoreSelection();
    selectionChanged();
}

void RunsPanel::refreshColumns()
{
    const RunView& view = *m_model->view();
    for (int column = 0; column < runColumnCount; ++column) {
        const auto i = static_cast<std::size_t>(column);
        const bool forecast =
            column == static_cast<int>(RunColumn::Forecast) || column == static_cast<int>(RunColumn::ForecastError);
        const bool told =
            (!m_differing->isChecked() || view.size() < 2 || view.differing[i]) && (!forecast || view.list->forecasts);
        const bool hidden = !m_columns[i]->isChecked() || !told;
        if (m_table->isColumnHidden(column) != hidden)
            m_table->setColumnHidden(column, hidden);
    }
}

void RunsPanel::refreshTexts()
{
    const QStringList& texts = m_model->view()->list->texts;
    QStringList present;
    for (int i = 1; i < m_text->count(); ++i)
        present.append(m_text->itemText(i));
    if (present == texts && m_text->count() > 0)
        return;
    const QString chosen = m_text->currentData().toString();
    m_text->clear();
    m_text->addItem(tr("first text of each run"), QString());
    for (const QString& text : texts)
        m_text->addItem(text, text);
    m_text->setCurrentIndex(std::max(0, m_text->findData(chosen)));
}

void RunsPanel::refreshCount()
{
    const RunView& view = *m_model->view();
    const auto all = static_cast<qsizetype>(view.list->haystacks.size());
    QString text = view.size() == all ? tr("%1 runs").arg(all) : tr("%1 of %2 runs").arg(view.size()).arg(all);
    if (m_selected.size() > 1)
        text += tr(", %1 selected").arg(m_selected.size());
    m_count->setText(text);
}

RunCost RunsPanel::cost() const
{
    return static_cast<RunCost>(m_cost->currentIndex());
}

void RunsPanel::replot()
{
    m_plotStale = !isVisible();
    if (m_plotStale)
        return;
    const std::stop_token stop = m_plotting.next();
    m_background.run(
        this, stop, [view = m_model->view(), chosen = cost(), stop] { return plotRuns(*view, chosen, stop); },
        [this](Outcome<RunPlot> outcome) {
            if (!outcome)
                return;
            m_plotted = std::move(*outcome);
            showPlot();
        });
}

void RunsPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    if (m_plotStale)
        replot();
}

void RunsPanel::showPlot()
{
    const bool sameAxis = m_shownPlot.data.x.title == m_plotted.data.x.title;
    m_shownPlot = m_plotted;
    markRuns(m_shownPlot, m_selected);
    m_plot->setData(m_shownPlot.data, sameAxis ? PlotWidget::View::Keep : PlotWidget::View::Reset);
    // Stars are lost among many points: lines lead to the few that are selected.
    QVector<PlotMarker> lines;
    if (m_selected.size() <= mostLines && m_shownPlot.runs.size() > m_plotted.runs.size()) {
        const PlotSeries& series = m_shownPlot.data.series.last();
        for (int i = 0; i < static_cast<int>(series.points.size()); ++i)
            lines.append({.id = i,
                          .x = series.points[i].x(),
                          .label = tr("run %1").arg(m_shownPlot.runs.back()[static_cast<std::size_t>(i)]),
                          .draggable = false,
                          .colour = series.colour});
    }
    m_plot->setMarkers(lines);
    m_hovered->setText(m_plotted.note);
}

void RunsPanel::showHovered(int series, int point)
{
    const RunView& view = *m_model->view();
    const auto found = view.rowOf.find(runAt(series, point));
    if (found == view.rowOf.end()) {
        m_hovered->setText(m_plotted.note);
        return;
    }
    const RunSummary& run = view.run(found->second);
    const auto text = [&](RunColumn column) { return runText(run, column, view.query.text); };
    const QString forecast = text(RunColumn::Forecast);
    m_hovered->setText(tr("run %1: %2, %3, kept %4, perplexity %5%6, originally %7 %8")
                           .arg(text(RunColumn::Id), text(RunColumn::Method), text(RunColumn::Allocation),
                                text(RunColumn::KeptRatio), text(RunColumn::Compressed),
                                forecast.isEmpty() ? QString() : tr(", forecast %1").arg(forecast),
                                text(RunColumn::Original), text(RunColumn::Tags)));
}

} // namespace rankwright::ui
