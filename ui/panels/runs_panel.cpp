#include "ui/panels/runs_panel.h"

#include "ui/models/run_table_model.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QAction>
#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QScrollBar>
#include <QSplitter>
#include <QStyledItemDelegate>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// Keeps the rows in place while a cell is being edited.
class HoldingDelegate : public QStyledItemDelegate
{
public:
    HoldingDelegate(RunTableModel* model, QObject* parent)
        : QStyledItemDelegate(parent)
        , m_model(model)
    {}

    QWidget* createEditor(QWidget* parent, const QStyleOptionViewItem& option, const QModelIndex& index) const override
    {
        m_model->hold(true);
        return QStyledItemDelegate::createEditor(parent, option, index);
    }
    void destroyEditor(QWidget* editor, const QModelIndex& index) const override
    {
        QStyledItemDelegate::destroyEditor(editor, index);
        // Not now: the view is in the middle of closing its editor.
        QMetaObject::invokeMethod(
            m_model, [model = m_model] { model->hold(false); }, Qt::QueuedConnection);
    }

private:
    RunTableModel* m_model;
};

/// Selected runs that a line in the plot leads to, at most.
constexpr std::size_t mostLines = 4;

/// Columns that are hidden until they are asked for.
bool hiddenAtFirst(RunColumn column)
{
    return column == RunColumn::Sequential || column == RunColumn::TargetRatio || column == RunColumn::Original;
}

} // namespace

RunsPanel::RunsPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new RunTableModel(session.runs(), this))
    , m_filter(new QLineEdit)
    , m_text(new QComboBox)
    , m_differing(new QCheckBox(tr("only columns that &differ")))
    , m_count(new QLabel)
    , m_table(new QTableView)
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

void RunsPanel::createTop()
{
    m_filter->setObjectName(u"runFilter"_s);
    m_filter->setPlaceholderText(tr("Filter, e.g. whitened finished paper"));
    m_filter->setClearButtonEnabled(true);
    m_filter->setAccessibleName(tr("Filter of runs: words of any column"));
    m_text->setObjectName(u"runText"_s);
    m_text->setAccessibleName(tr("Text that perplexities are of"));
    m_text->setToolTip(m_text->accessibleName());
    m_text->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    m_differing->setObjectName(u"onlyDiffering"_s);
    m_cost->setObjectName(u"runCost"_s);
    m_cost->setAccessibleName(tr("What perplexity is drawn against"));
    m_cost->addItems({tr("Kept of the linears"), tr("Kept of the model"), tr("Size")});
    m_plot->setObjectName(u"runPlot"_s);
    m_plot->setEmptyText(tr("Runs with a perplexity appear here."));
    m_hovered->setObjectName(u"hoveredRun"_s);
    m_hovered->setTextInteractionFlags(Qt::TextSelectableByMouse);
    // A long line must not widen the whole view.
    m_hovered->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);

    auto* top = new QHBoxLayout;
    top->addWidget(m_filter, 1);
    top->addWidget(m_text);
    top->addWidget(m_differing);
    auto* buttons = new QHBoxLayout;
    buttons->setSpacing(2);
    for (QAction* action : {m_compare, m_show, m_take, m_resume, m_export, m_delete}) {
        auto* button = new QToolButton;
        button->setDefaultAction(action);
        button->setToolButtonStyle(Qt::ToolButtonTextOnly);
        button->setAutoRaise(true);
        buttons->addWidget(button);
    }
    buttons->addStretch();
    buttons->addWidget(m_count);
    auto* tableSide = new QWidget;
    auto* tableLayout = new QVBoxLayout(tableSide);
    tableLayout->setContentsMargins(0, 0, 0, 0);
    tableLayout->addLayout(top);
    tableLayout->addWidget(m_table, 1);
    tableLayout->addLayout(buttons);

    auto* plotTop = new QHBoxLayout;
    plotTop->addWidget(m_cost);
    plotTop->addWidget(m_hovered, 1);
    auto* plotSide = new QWidget;
    auto* plotLayout = new QVBoxLayout(plotSide);
    plotLayout->setContentsMargins(0, 0, 0, 0);
    plotLayout->addLayout(plotTop);
    plotLayout->addWidget(m_plot, 1);

    auto* splitter = new QSplitter(Qt::Vertical);
    splitter->setObjectName(u"runSplitter"_s);
    splitter->setChildrenCollapsible(false);
    splitter->addWidget(tableSide);
    splitter->addWidget(plotSide);
    splitter->setStretchFactor(0, 1);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({1000, 1000});
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addWidget(splitter);
}

void RunsPanel::createTable()
{
    m_table->setObjectName(u"runTable"_s);
    m_table->setAccessibleName(tr("Runs"));
    m_table->setModel(m_model);
    m_table->setItemDelegate(new HoldingDelegate(m_model, this));
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::ExtendedSelection);
    m_table->setEditTriggers(QAbstractItemView::DoubleClicked | QAbstractItemView::EditKeyPressed);
    m_table->setAlternatingRowColors(true);
    m_table->setShowGrid(false);
    m_table->setWordWrap(false);
    m_table->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
    // Ten thousand rows: their height is told, not measured.
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    m_table->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 8);
    QHeaderView* header = m_table->horizontalHeader();
    header->setSectionsMovable(true);
    header->setHighlightSections(false);
    header->setSortIndicator(static_cast<int>(RunColumn::Id), Qt::DescendingOrder);
    m_table->setSortingEnabled(true);
    const int unit = fontMetrics().horizontalAdvance(u'0');
    const auto width = [&](RunColumn column, int letters) {
        m_table->setColumnWidth(static_cast<int>(column), unit * letters);
    };
    header->setDefaultSectionSize(unit * 13);
    width(RunColumn::Id, 9);
    width(RunColumn::State, 12);
    width(RunColumn::Name, 18);
    width(RunColumn::Model, 20);
    width(RunColumn::Method, 15);
    width(RunColumn::Structure, 15);
    width(RunColumn::Allocation, 15);
    width(RunColumn::TargetRatio, 10);
    width(RunColumn::KeptRatio, 10);
    width(RunColumn::Compressed, 14);
    width(RunColumn::Text, 18);
    width(RunColumn::Seconds, 11);
    width(RunColumn::Started, 21);
    width(RunColumn::Tags, 18);
    width(RunColumn::Notes, 30);

    // What runs are chosen by comes first; the user may move columns on.
    int place = 3;
    for (const RunColumn column : {RunColumn::Method, RunColumn::KeptRatio, RunColumn::Compressed, RunColumn::Bytes})
        header->moveSection(header->visualIndex(static_cast<int>(column)), place++);
    header->setContextMenuPolicy(Qt::ActionsContextMenu);
    for (int i = 0; i < runColumnCount; ++i) {
        const auto column = static_cast<RunColumn>(i);
        auto* shown = new QAction(runColumnTitle(column), this);
        shown->setCheckable(true);
        shown->setChecked(!hiddenAtFirst(column));
        connect(shown, &QAction::toggled, this, &RunsPanel::refreshColumns);
        header->addAction(shown);
        m_columns[static_cast<std::size_t>(i)] = shown;
    }
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
        const bool told = !m_differing->isChecked() || view.size() < 2 || view.differing[i];
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
    if (m_plotted.severalModels)
        m_hovered->setText(tr("Filter for one model to see the Pareto front."));
    else
        m_hovered->clear();
}

void RunsPanel::showHovered(int series, int point)
{
    const RunView& view = *m_model->view();
    const auto found = view.rowOf.find(runAt(series, point));
    if (found == view.rowOf.end()) {
        m_hovered->clear();
        return;
    }
    const RunSummary& run = view.run(found->second);
    const auto text = [&](RunColumn column) { return runText(run, column, view.query.text); };
    m_hovered->setText(tr("run %1: %2, %3, kept %4, perplexity %5, originally %6 %7")
                           .arg(text(RunColumn::Id), text(RunColumn::Method), text(RunColumn::Allocation),
                                text(RunColumn::KeptRatio), text(RunColumn::Compressed), text(RunColumn::Original),
                                text(RunColumn::Tags)));
}

} // namespace rankwright::ui
