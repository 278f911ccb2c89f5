// How table, plot and buttons of the runs are put together.
#include "ui/models/run_table_model.h"
#include "ui/panels/runs_panel.h"
#include "ui/plots/plot_widget.h"

#include <QAction>
#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QSplitter>
#include <QStyledItemDelegate>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

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

/// Columns that are hidden until they are asked for.
bool hiddenAtFirst(RunColumn column)
{
    return column == RunColumn::Sequential || column == RunColumn::TargetRatio || column == RunColumn::Original;
}

} // namespace

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
    m_cost->addItems({tr("Kept of the linears"), tr("Kept of the model"), tr("Size"), tr("Forecast")});
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
    buttons->addSpacing(8);
    buttons->addWidget(m_count, 1);
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
    width(RunColumn::Name, 17);
    width(RunColumn::Model, 20);
    width(RunColumn::Method, 15);
    width(RunColumn::Structure, 15);
    width(RunColumn::Allocation, 15);
    width(RunColumn::TargetRatio, 10);
    width(RunColumn::KeptRatio, 10);
    width(RunColumn::Compressed, 14);
    width(RunColumn::Forecast, 36);
    width(RunColumn::ForecastError, 10);
    width(RunColumn::Text, 18);
    width(RunColumn::Seconds, 11);
    width(RunColumn::Started, 21);
    width(RunColumn::Tags, 18);
    width(RunColumn::Notes, 30);

    // What runs are chosen by comes first; the user may move columns on.
    int place = 3;
    for (const RunColumn column : {RunColumn::Method, RunColumn::KeptRatio, RunColumn::Compressed, RunColumn::Forecast,
                                   RunColumn::ForecastError, RunColumn::Bytes})
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

} // namespace rankwright::ui
