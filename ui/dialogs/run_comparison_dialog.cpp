#include "ui/dialogs/run_comparison_dialog.h"

#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QComboBox>
#include <QDialogButtonBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QSortFilterProxyModel>
#include <QTabWidget>
#include <QTableView>
#include <QTableWidget>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

RunComparisonDialog::RunComparisonDialog(Session& session, const std::vector<std::int64_t>& runs, QWidget* parent)
    : QDialog(parent)
    , m_records(runs.size())
    , m_state(new QLabel(tr("Reading %1 runs ...").arg(runs.size())))
    , m_tabs(new QTabWidget)
    , m_overview(new QTableWidget)
    , m_linears(new QTableView)
    , m_quantity(new QComboBox)
    , m_role(new QComboBox)
    , m_plot(new PlotWidget)
{
    setObjectName(u"runComparison"_s);
    setWindowTitle(tr("Compare runs"));
    setAttribute(Qt::WA_DeleteOnClose);
    m_state->setWordWrap(true);
    m_overview->setObjectName(u"comparisonOverview"_s);
    m_overview->setAccessibleName(tr("Figures and recipe values of the runs"));
    m_overview->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_overview->setShowGrid(false);
    m_overview->setAlternatingRowColors(true);
    m_linears->setObjectName(u"comparisonLinears"_s);
    m_linears->setAccessibleName(tr("Linears of the runs"));
    m_linears->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_linears->setAlternatingRowColors(true);
    m_linears->setShowGrid(false);
    m_linears->setWordWrap(false);
    m_linears->verticalHeader()->hide();
    m_linears->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    m_linears->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 8);
    m_quantity->setObjectName(u"comparisonQuantity"_s);
    m_quantity->setAccessibleName(tr("What is drawn"));
    m_quantity->addItems({tr("Rank"), tr("Kept parameters"), tr("Measured loss")});
    m_role->setObjectName(u"comparisonRole"_s);
    m_role->setAccessibleName(tr("Which linears are drawn"));
    m_plot->setObjectName(u"comparisonPlot"_s);
    m_plot->setEmptyText(tr("These runs have no linears yet."));

    auto* chooser = new QHBoxLayout;
    chooser->addWidget(m_quantity);
    chooser->addWidget(m_role);
    chooser->addStretch();
    auto* plotSide = new QWidget;
    auto* plotLayout = new QVBoxLayout(plotSide);
    plotLayout->addLayout(chooser);
    plotLayout->addWidget(m_plot, 1);
    m_tabs->setObjectName(u"comparisonTabs"_s);
    m_tabs->addTab(m_overview, tr("&Figures and recipe"));
    m_tabs->addTab(m_linears, tr("&Linears"));
    m_tabs->addTab(plotSide, tr("&Plot"));
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(m_state);
    layout->addWidget(m_tabs, 1);
    layout->addWidget(buttons);
    resize(920, 620);

    connect(m_quantity, &QComboBox::currentIndexChanged, this, &RunComparisonDialog::replot);
    connect(m_role, &QComboBox::currentIndexChanged, this, &RunComparisonDialog::replot);
    for (std::size_t place = 0; place < runs.size(); ++place)
        session.runs().fetch(runs[place], this, {},
                             [this, place](Outcome<RunRecord> outcome) { take(place, std::move(outcome)); });
}

void RunComparisonDialog::take(std::size_t place, Outcome<RunRecord> outcome)
{
    if (!outcome) {
        m_state->setText(outcome.failure.message);
        return;
    }
    m_records[place] = std::move(*outcome);
    std::vector<RunRecord> records;
    for (const auto& record : m_records)
        if (!record)
            return;
    for (auto& record : m_records)
        records.push_back(std::move(*record));
    showRecords(std::move(records));
}

void RunComparisonDialog::showRecords(std::vector<RunRecord> records)
{
    m_comparison = std::make_shared<const RunComparison>(std::move(records));
    m_records.clear();
    std::size_t different = 0;
    for (const ComparedLinear& linear : m_comparison->linears)
        different += differs(linear) ? 1 : 0;
    QString text = tr("%1 of %2 linears and %3 values of the recipe differ.")
                       .arg(different)
                       .arg(m_comparison->linears.size())
                       .arg(m_comparison->recipe.size());
    if (!m_comparison->sameModel)
        text += u" "_s + tr("The runs compress different weights.");
    m_state->setText(text);
    fillOverview();
    fillLinears();
    m_role->addItem(tr("all linears"), QString());
    for (const QString& role : rolesOf(*m_comparison))
        m_role->addItem(role, role);
}

void RunComparisonDialog::fillOverview()
{
    const std::vector<ComparisonLine> lines = overviewOf(*m_comparison);
    QStringList titles;
    for (std::size_t run = 0; run < m_comparison->runs.size(); ++run)
        titles.append(m_comparison->title(run));
    m_overview->setColumnCount(static_cast<int>(titles.size()));
    m_overview->setRowCount(static_cast<int>(lines.size()));
    m_overview->setHorizontalHeaderLabels(titles);
    QStringList rows;
    for (int row = 0; row < m_overview->rowCount(); ++row) {
        const ComparisonLine& line = lines[static_cast<std::size_t>(row)];
        rows.append(line.title);
        for (int column = 0; column < m_overview->columnCount(); ++column) {
            auto* item = new QTableWidgetItem(line.values[column]);
            item->setToolTip(line.values[column]);
            QFont font = item->font();
            font.setBold(line.different);
            item->setFont(font);
            m_overview->setItem(row, column, item);
        }
    }
    m_overview->setVerticalHeaderLabels(rows);
    m_overview->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    m_overview->verticalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
}

void RunComparisonDialog::fillLinears()
{
    auto* proxy = new QSortFilterProxyModel(this);
    auto* model = new RunComparisonModel(m_comparison, this);
    proxy->setSourceModel(model);
    proxy->setSortRole(RunComparisonModel::SortRole);
    m_linears->setModel(proxy);
    m_linears->setSortingEnabled(true);
    m_linears->sortByColumn(0, Qt::AscendingOrder);
    const int unit = fontMetrics().horizontalAdvance(u'0');
    m_linears->horizontalHeader()->setDefaultSectionSize(unit * 17);
    m_linears->setColumnWidth(0, unit * 36);
    // What differs is what one looks for: beside the name.
    QHeaderView* header = m_linears->horizontalHeader();
    for (std::size_t run = 1; run < m_comparison->runs.size(); ++run)
        header->moveSection(header->visualIndex(model->differenceColumn(run)), static_cast<int>(run));
}

void RunComparisonDialog::replot()
{
    if (m_comparison)
        m_plot->setData(plotLinears(*m_comparison, static_cast<LinearQuantity>(m_quantity->currentIndex()),
                                    m_role->currentData().toString()));
}

} // namespace rankwright::ui
