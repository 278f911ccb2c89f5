#include "ui/models/run_table_model.h"

#include "ui/session/text.h"

#include <cmath>

namespace rankwright::ui {

namespace {

bool isEditable(RunColumn column)
{
    return column == RunColumn::Tags || column == RunColumn::Notes;
}

bool sameRuns(const RunView& a, const RunView& b)
{
    if (a.size() != b.size())
        return false;
    for (int row = 0; row < a.size(); ++row)
        if (a.run(row).id != b.run(row).id)
            return false;
    return true;
}

} // namespace

RunTableModel::RunTableModel(RunStore& store, QObject* parent)
    : QAbstractTableModel(parent)
    , m_store(store)
    , m_view(arrangeRuns(prepareRuns(std::make_shared<const std::vector<RunSummary>>()), {}, {}))
    , m_list(m_view->list)
{
    connect(&store, &RunStore::runsChanged, this, &RunTableModel::arrange);
    if (!store.runs().empty())
        arrange();
}

void RunTableModel::setFilter(const QString& words)
{
    if (words == m_query.filter)
        return;
    m_query.filter = words;
    arrange();
}

void RunTableModel::setEvaluation(const QString& text)
{
    if (text.toStdString() == m_query.text)
        return;
    m_query.text = text.toStdString();
    arrange();
}

void RunTableModel::sort(int column, Qt::SortOrder order)
{
    if (column < 0 || column >= runColumnCount)
        return;
    m_query.column = static_cast<RunColumn>(column);
    m_query.order = order;
    arrange();
}

void RunTableModel::arrange()
{
    m_busy = true;
    const std::stop_token stop = m_arranging.next();
    m_background.run(
        this, stop,
        [runs = m_store.snapshot(), list = m_list, query = m_query, stop]() mutable {
            if (list->runs != runs)
                list = prepareRuns(std::move(runs));
            return arrangeRuns(list, query, stop);
        },
        [this](Outcome<RunViewPtr> outcome) {
            m_busy = false;
            if (!outcome)
                return;
            m_list = (*outcome)->list;
            if (m_held)
                m_waiting = std::move(*outcome);
            else
                show(std::move(*outcome));
        });
}

void RunTableModel::hold(bool held)
{
    m_held = held;
    if (!held && m_waiting)
        show(std::exchange(m_waiting, nullptr));
}

void RunTableModel::show(RunViewPtr view)
{
    const bool fresh = view->list->runs != m_view->list->runs;
    if (sameRuns(*view, *m_view)) {
        std::swap(m_view, view);
        if (fresh)
            m_written.clear();
        if (m_view->size() > 0)
            emit dataChanged(index(0, 0), index(m_view->size() - 1, runColumnCount - 1));
    } else {
        beginResetModel();
        std::swap(m_view, view);
        if (fresh)
            m_written.clear();
        endResetModel();
    }
    emit arranged();
    // Ten thousand runs take a while to free.
    m_background.run(
        this, {},
        [old = std::move(view)]() mutable {
            old.reset();
            return true;
        },
        [](const Outcome<bool>&) {}, -1);
}

int RunTableModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : m_view->size();
}

int RunTableModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : runColumnCount;
}

QString RunTableModel::text(const RunSummary& run, RunColumn column) const
{
    if (isEditable(column)) {
        const auto written = m_written.find({run.id, column});
        if (written != m_written.end())
            return written->second;
    }
    return runText(run, column, m_view->query.text);
}

QVariant RunTableModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const RunSummary& run = m_view->run(index.row());
    const auto column = static_cast<RunColumn>(index.column());
    switch (role) {
    case Qt::DisplayRole:
        return text(run, column);
    case Qt::EditRole:
        return isEditable(column) ? QVariant(text(run, column)) : QVariant();
    case Qt::TextAlignmentRole:
        return isNumber(column) ? QVariant(Qt::AlignRight | Qt::AlignVCenter) : QVariant();
    case Qt::ToolTipRole:
        if (column == RunColumn::State && !run.error.empty())
            return toQString(run.error);
        if (const RunPerplexity* measured = perplexityOf(run, m_view->query.text);
            column == RunColumn::Forecast && measured != nullptr && measured->forecast)
            return toQString(forecastState(*measured->forecast));
        return column == RunColumn::Model ? toQString(run.model) : text(run, column);
    case IdRole:
        return static_cast<qlonglong>(run.id);
    case SortRole: {
        const double number = runNumber(run, column, m_view->query.text);
        return std::isnan(number) ? QVariant() : QVariant(number);
    }
    default:
        return {};
    }
}

QVariant RunTableModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section < 0 || section >= runColumnCount)
        return {};
    const auto column = static_cast<RunColumn>(section);
    switch (role) {
    case Qt::DisplayRole:
        return runColumnTitle(column);
    case Qt::ToolTipRole: {
        const QString tip = runColumnTip(column);
        return tip.isEmpty() ? QVariant() : QVariant(tip);
    }
    case Qt::TextAlignmentRole:
        return QVariant((isNumber(column) ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    default:
        return {};
    }
}

Qt::ItemFlags RunTableModel::flags(const QModelIndex& index) const
{
    const Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    return index.isValid() && isEditable(static_cast<RunColumn>(index.column())) ? flags | Qt::ItemIsEditable : flags;
}

bool RunTableModel::setData(const QModelIndex& index, const QVariant& value, int role)
{
    const auto column = static_cast<RunColumn>(index.column());
    if (!index.isValid() || role != Qt::EditRole || !isEditable(column))
        return false;
    const RunSummary& run = m_view->run(index.row());
    const QString written = value.toString().trimmed();
    if (written == text(run, column))
        return true;
    m_written[{run.id, column}] = written;
    if (column == RunColumn::Tags)
        m_store.setTags(run.id, written);
    else
        m_store.setNotes(run.id, written);
    emit dataChanged(index, index);
    return true;
}

} // namespace rankwright::ui
