#include "ui/panels/error_map_panel.h"

#include "ui/plots/heat_map.h"
#include "ui/session/text.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>

#include <algorithm>
#include <limits>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

/// A store may name methods that this program does not know.
bool measuresNats(const std::string& method)
{
    return std::ranges::any_of(methods(),
                               [&](const Method* known) { return known->name() == method && known->needsGradients(); });
}

} // namespace

ErrorMapPanel::ErrorMapPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_quantity(new QComboBox)
    , m_other(new QComboBox)
    , m_map(new HeatMap)
{
    m_quantity->setObjectName(u"mapQuantity"_s);
    m_quantity->setAccessibleName(tr("What the map shows"));
    m_quantity->addItems({tr("Planned rank"), tr("Kept parameters"), tr("Predicted loss"), tr("Measured loss"),
                          tr("Measured loss, difference to run")});
    m_quantity->setCurrentIndex(static_cast<int>(Quantity::Predicted));
    m_other->setObjectName(u"mapOther"_s);
    m_other->setAccessibleName(tr("Run that is subtracted"));
    m_other->setMinimumContentsLength(24);
    m_map->setObjectName(u"errorMap"_s);
    m_map->setEmptyText(tr("Open a model to see its map."));
    auto* top = new QHBoxLayout;
    top->addWidget(m_quantity);
    top->addWidget(m_other);
    top->addStretch();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addLayout(top);
    layout->addWidget(m_map, 1);

    connect(m_quantity, &QComboBox::currentIndexChanged, this, [this] { rebuild(); });
    connect(m_other, &QComboBox::activated, this, [this] { setOther(m_other->currentData().toLongLong()); });
    connect(&session, &Session::modelOpened, this, &ErrorMapPanel::rebuild);
    connect(&session, &Session::modelClosed, this, &ErrorMapPanel::rebuild);
    connect(&session.plan(), &RankPlan::changed, this, &ErrorMapPanel::refresh);
    connect(&session.plan(), &RankPlan::lossReady, this, [this] {
        if (quantity() == Quantity::Predicted)
            refresh();
    });
    connect(&session, &Session::measuredChanged, this, [this] {
        if (isVisible() && m_map->data().title != title())
            rebuild();
        else
            refresh();
    });
    connect(&session.selection(), &Selection::changed, this, &ErrorMapPanel::markSelection);
    connect(&session.runs(), &RunStore::runsChanged, this, &ErrorMapPanel::refreshRuns);
    connect(m_map, &HeatMap::cellClicked, this, [this](int row, int column) {
        if (const int linear = linearAt(row, column); linear >= 0)
            m_session.selection().set({linear});
    });
    rebuild();
}

ErrorMapPanel::Quantity ErrorMapPanel::quantity() const
{
    return static_cast<Quantity>(m_quantity->currentIndex());
}

void ErrorMapPanel::setQuantity(Quantity quantity)
{
    m_quantity->setCurrentIndex(static_cast<int>(quantity));
}

int ErrorMapPanel::linearAt(int row, int column) const
{
    if (row < 0 || row >= static_cast<int>(m_cells.size()))
        return -1;
    const std::vector<int>& roles = m_cells[static_cast<std::size_t>(row)];
    return column >= 0 && column < static_cast<int>(roles.size()) ? roles[static_cast<std::size_t>(column)] : -1;
}

double ErrorMapPanel::value(int linear) const
{
    const RankPlan& plan = m_session.plan();
    const LinearOutcome* outcome = m_session.measured(linear);
    switch (quantity()) {
    case Quantity::Rank:
        return static_cast<double>(plan.rank(linear));
    case Quantity::Kept:
        return static_cast<double>(plan.keptParameters(linear)) / static_cast<double>(plan.shape(linear).parameters());
    case Quantity::Predicted:
        return plan.relativeLoss(linear);
    case Quantity::Measured:
        return outcome ? relativeMeasuredLoss(*outcome) : nothing;
    case Quantity::Difference: {
        const auto i = static_cast<std::size_t>(linear);
        return outcome && i < m_otherLosses.size() && comparable() ? relativeMeasuredLoss(*outcome) - m_otherLosses[i]
                                                                   : nothing;
    }
    }
    return nothing;
}

QString ErrorMapPanel::title() const
{
    const std::int64_t run = m_session.measuredRun();
    if (quantity() == Quantity::Measured && run > 0)
        return tr("Measured loss of run %1").arg(run);
    if (quantity() != Quantity::Difference || m_otherRun == 0)
        return m_quantity->currentText();
    if (run == 0)
        return tr("Measured loss: no run is shown that run %1 could be subtracted from").arg(m_otherRun);
    if (!comparable())
        return tr("Run %1 and run %2 measure in different units: nats and energy of outputs").arg(run).arg(m_otherRun);
    return tr("Measured loss of run %1 less that of run %2").arg(run).arg(m_otherRun);
}

bool ErrorMapPanel::comparable() const
{
    const std::optional<RunRecord>& shown = m_session.shownRun();
    return !shown || m_otherMethod.empty() || measuresNats(shown->summary.method) == measuresNats(m_otherMethod);
}

void ErrorMapPanel::rebuild()
{
    const DocumentPtr document = m_session.document();
    HeatMapData figure;
    m_cells.clear();
    m_other->setVisible(quantity() == Quantity::Difference);
    if (document && !m_session.plan().empty()) {
        // Every block has the same roles.
        m_cells.resize(document->model.config().blocks);
        for (const LinearInfo& linear : document->model.linears())
            m_cells[linear.block].push_back(static_cast<int>(linear.index));
        figure.title = title();
        figure.rowTitle = tr("block");
        figure.columnTitle = tr("role");
        figure.valueTitle = quantity() == Quantity::Rank   ? tr("rank")
                            : quantity() == Quantity::Kept ? tr("kept share")
                                                           : tr("loss / loss of rank 0");
        for (std::size_t block = 0; block < m_cells.size(); ++block)
            figure.rows.append(QString::number(block));
        for (const LinearInfo& linear : document->model.linears(0))
            figure.columns.append(toQString(roleName(linear.role)));
        for (const auto& row : m_cells)
            for (const int linear : row)
                figure.values.append(value(linear));
    }
    const bool loss = quantity() == Quantity::Predicted || quantity() == Quantity::Measured;
    m_map->setScale(quantity() == Quantity::Difference ? HeatScale::Diverging
                    : loss                             ? HeatScale::Logarithmic
                                                       : HeatScale::Linear);
    m_map->setData(figure);
    markSelection();
}

void ErrorMapPanel::refresh()
{
    if (!isVisible() || m_cells.empty() || m_session.plan().empty()) {
        m_stale = true;
        return;
    }
    m_stale = false;
    for (std::size_t row = 0; row < m_cells.size(); ++row)
        for (std::size_t column = 0; column < m_cells[row].size(); ++column)
            m_map->updateCell(static_cast<int>(row), static_cast<int>(column), value(m_cells[row][column]));
}

void ErrorMapPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    if (m_stale)
        rebuild();
    m_stale = false;
}

void ErrorMapPanel::markSelection()
{
    QVector<HeatCell> marked;
    for (std::size_t row = 0; row < m_cells.size(); ++row)
        for (std::size_t column = 0; column < m_cells[row].size(); ++column)
            if (m_session.selection().contains(m_cells[row][column]))
                marked.append({static_cast<int>(row), static_cast<int>(column)});
    m_map->setMarkedCells(marked);
}

void ErrorMapPanel::refreshRuns()
{
    const qlonglong chosen = m_other->currentData().toLongLong();
    m_other->clear();
    m_other->addItem(tr("choose a run"), 0);
    constexpr int most = 50;
    for (const RunSummary& run : m_session.runs().runs()) {
        if (m_other->count() > most)
            break;
        if (run.state == RunState::Finished && m_session.document() &&
            toQString(run.model) == m_session.document()->path)
            m_other->addItem(tr("run %1: %2").arg(run.id).arg(toQString(run.name.empty() ? run.method : run.name)),
                             static_cast<qlonglong>(run.id));
    }
    m_other->setCurrentIndex(std::max(0, m_other->findData(chosen)));
}

void ErrorMapPanel::setOther(std::int64_t run)
{
    m_otherLosses.clear();
    m_otherRun = 0;
    m_otherMethod.clear();
    if (run == 0) {
        rebuild();
        return;
    }
    m_session.runs().fetch(run, this, m_fetching.next(), [this, run](const Outcome<RunRecord>& record) {
        const DocumentPtr document = m_session.document();
        if (!record || !document)
            return;
        m_otherRun = run;
        m_otherMethod = record->summary.method;
        m_otherLosses.assign(document->model.linears().size(), nothing);
        for (const LinearInfo& linear : document->model.linears())
            for (const LinearOutcome& outcome : record->result.linears)
                if (outcome.name == linear.name)
                    m_otherLosses[linear.index] = relativeMeasuredLoss(outcome);
        rebuild();
    });
}

} // namespace rankwright::ui
