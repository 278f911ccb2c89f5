#include "ui/models/linear_tree_model.h"

#include "ui/session/text.h"

#include <QLocale>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr quintptr blockId = std::numeric_limits<quintptr>::max();

/// From the first to the last of what was added.
struct Span
{
    int first = std::numeric_limits<int>::max();
    int last = -1;

    void add(int value)
    {
        first = std::min(first, value);
        last = std::max(last, value);
    }
    bool empty() const { return last < 0; }
};

/// Two numbers that are both unknown do not.
bool differ(double a, double b)
{
    return a != b && !(std::isnan(a) && std::isnan(b));
}

} // namespace

QString groupedNumber(std::size_t value)
{
    return QLocale().toString(static_cast<qulonglong>(value));
}

QString percentText(double ratio, int decimals)
{
    return std::isfinite(ratio) ? QLocale().toString(100.0 * ratio, 'f', decimals) + u" %"_s : QString();
}

QString lossText(double loss)
{
    return std::isfinite(loss) ? QLocale().toString(loss, 'g', 4) : QString();
}

QString shortName(const std::string& linear)
{
    return toQString(linear.substr(linear.rfind('.') + 1));
}

LinearTreeModel::LinearTreeModel(Session& session, QObject* parent)
    : QAbstractItemModel(parent)
    , m_session(session)
{
    connect(&session, &Session::modelOpened, this, &LinearTreeModel::reset);
    connect(&session, &Session::modelClosed, this, &LinearTreeModel::reset);
    connect(&session.plan(), &RankPlan::changed, this, &LinearTreeModel::refresh);
    connect(&session, &Session::measuredChanged, this, &LinearTreeModel::refresh);
    connect(&session.plan(), &RankPlan::lossReady, this, &LinearTreeModel::refresh);
    reset();
}

void LinearTreeModel::reset()
{
    beginResetModel();
    m_document = m_session.document();
    m_blocks.clear();
    if (m_document) {
        m_blocks.resize(m_document->model.config().blocks);
        for (const LinearInfo& linear : m_document->model.linears())
            m_blocks[linear.block].push_back(static_cast<int>(linear.index));
    }
    m_told.clear();
    if (m_document && !m_session.plan().empty()) {
        m_told.reserve(m_document->model.linears().size());
        for (const LinearInfo& linear : m_document->model.linears())
            m_told.push_back(figures(static_cast<int>(linear.index)));
    }
    endResetModel();
}

LinearTreeModel::Figures LinearTreeModel::figures(int linear) const
{
    const RankPlan& plan = m_session.plan();
    const LinearOutcome* outcome = m_session.measured(linear);
    return {.rank = plan.rank(linear),
            .structure = plan.structure(linear),
            .locked = plan.locked(linear),
            .predicted = plan.relativeLoss(linear),
            .measured = outcome ? relativeMeasuredLoss(*outcome) : std::numeric_limits<double>::quiet_NaN()};
}

void LinearTreeModel::refresh()
{
    if (m_blocks.empty() || m_document != m_session.document() || m_session.plan().empty())
        return;
    m_told.resize(m_document->model.linears().size());
    Span blocks;
    for (int block = 0; block < static_cast<int>(m_blocks.size()); ++block) {
        const std::vector<int>& linears = m_blocks[static_cast<std::size_t>(block)];
        Span rows;
        Span columns;
        for (int row = 0; row < static_cast<int>(linears.size()); ++row) {
            const int linear = linears[static_cast<std::size_t>(row)];
            Figures& told = m_told[static_cast<std::size_t>(linear)];
            const Figures now = figures(linear);
            const bool stored = now.rank != told.rank || now.structure != told.structure;
            const std::array changed{std::pair(int(Rank), stored || now.locked != told.locked),
                                     std::pair(int(Kept), stored),
                                     std::pair(int(Predicted), differ(now.predicted, told.predicted)),
                                     std::pair(int(Measured), differ(now.measured, told.measured))};
            for (const auto& [column, differs] : changed) {
                if (differs) {
                    rows.add(row);
                    columns.add(column);
                }
            }
            told = now;
        }
        if (rows.empty())
            continue;
        blocks.add(block);
        const QModelIndex parent = index(block, 0);
        emit dataChanged(index(rows.first, columns.first, parent), index(rows.last, columns.last, parent));
    }
    if (!blocks.empty())
        emit dataChanged(index(blocks.first, Kept), index(blocks.last, Predicted));
}

QModelIndex LinearTreeModel::indexOfLinear(int linear, int column) const
{
    if (!m_document || linear < 0 || linear >= static_cast<int>(m_document->model.linears().size()))
        return {};
    const auto block = static_cast<int>(m_document->model.linears()[static_cast<std::size_t>(linear)].block);
    const auto& linears = m_blocks[static_cast<std::size_t>(block)];
    const auto row = static_cast<int>(std::ranges::find(linears, linear) - linears.begin());
    return createIndex(row, column, static_cast<quintptr>(block));
}

QModelIndex LinearTreeModel::index(int row, int column, const QModelIndex& parent) const
{
    if (!hasIndex(row, column, parent))
        return {};
    return createIndex(row, column, parent.isValid() ? static_cast<quintptr>(parent.row()) : blockId);
}

QModelIndex LinearTreeModel::parent(const QModelIndex& child) const
{
    if (!child.isValid() || child.internalId() == blockId)
        return {};
    return createIndex(static_cast<int>(child.internalId()), 0, blockId);
}

int LinearTreeModel::rowCount(const QModelIndex& parent) const
{
    if (!parent.isValid())
        return static_cast<int>(m_blocks.size());
    if (parent.internalId() != blockId || parent.column() > 0)
        return 0;
    return static_cast<int>(m_blocks[static_cast<std::size_t>(parent.row())].size());
}

int LinearTreeModel::columnCount(const QModelIndex&) const
{
    return ColumnCount;
}

QVariant LinearTreeModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || !m_document || m_session.plan().empty())
        return {};
    if (role == Qt::TextAlignmentRole)
        return index.column() == Name ? QVariant() : QVariant(int(Qt::AlignRight | Qt::AlignVCenter));
    if (index.internalId() == blockId)
        return blockData(index.row(), index.column(), role);
    return linearData(m_blocks[index.internalId()][static_cast<std::size_t>(index.row())], index.column(), role);
}

QVariant LinearTreeModel::number(double value, int role, const QString& text) const
{
    if (role == SortRole)
        return value;
    if (role == Qt::DisplayRole)
        return text;
    return {};
}

QVariant LinearTreeModel::blockData(int block, int column, int role) const
{
    if (role == LinearRole)
        return -1;
    if (role == FilterTextRole)
        return u"block %1"_s.arg(block);
    if (role != Qt::DisplayRole && role != SortRole)
        return {};
    const RankPlan& plan = m_session.plan();
    std::size_t dense = 0;
    std::size_t kept = 0;
    double loss = 0.0;
    double chosen = 0.0;
    const auto& linears = m_blocks[static_cast<std::size_t>(block)];
    for (const int linear : linears) {
        dense += plan.shape(linear).parameters();
        kept += plan.keptParameters(linear);
        if (plan.chosen(linear)) {
            loss += plan.relativeLoss(linear);
            ++chosen;
        }
    }
    const double ratio = dense > 0 ? static_cast<double>(kept) / static_cast<double>(dense) : 0.0;
    loss /= std::max(chosen, 1.0); // as the mean over all that the plan is for
    switch (column) {
    case Name:
        return role == Qt::DisplayRole ? QVariant(tr("block %1").arg(block)) : QVariant();
    case Parameters:
        return number(static_cast<double>(dense), role, groupedNumber(dense));
    case Kept:
        return number(ratio, role, percentText(ratio));
    case Predicted:
        return number(loss, role, lossText(loss));
    default:
        return {};
    }
}

QVariant LinearTreeModel::linearData(int linear, int column, int role) const
{
    const LinearInfo& info = m_document->model.linears()[static_cast<std::size_t>(linear)];
    const RankPlan& plan = m_session.plan();
    switch (role) {
    case LinearRole:
        return linear;
    case FilterTextRole:
        return toQString(info.name + " block " + std::to_string(info.block) + " " + std::string(roleName(info.role)));
    case Qt::ToolTipRole:
        return toQString(info.name);
    case Qt::DisplayRole:
    case BarRole:
    case SortRole:
        break;
    default:
        return {};
    }
    const double kept = static_cast<double>(plan.keptParameters(linear)) / static_cast<double>(info.shape.parameters());
    const double predicted = plan.relativeLoss(linear);
    const LinearOutcome* outcome = m_session.measured(linear);
    if (role == BarRole) {
        switch (column) {
        case Rank:
            return static_cast<double>(plan.rank(linear)) / static_cast<double>(plan.rankedShape(linear).fullRank());
        case Kept:
            return kept;
        case Predicted:
            return std::isfinite(predicted) ? QVariant(std::min(predicted, 1.0)) : QVariant();
        case Measured:
            return outcome ? QVariant(std::min(relativeMeasuredLoss(*outcome), 1.0)) : QVariant();
        default:
            return {};
        }
    }
    switch (column) {
    case Name:
        return role == Qt::DisplayRole ? QVariant(shortName(info.name)) : QVariant();
    case Shape:
        return number(static_cast<double>(info.shape.rows), role,
                      u"%1×%2"_s.arg(info.shape.rows).arg(info.shape.columns));
    case Type:
        return role == Qt::DisplayRole ? QVariant(toQString(dtypeName(info.dtype))) : QVariant();
    case Parameters:
        return number(static_cast<double>(info.shape.parameters()), role, groupedNumber(info.shape.parameters()));
    case Rank: {
        const bool dense = plan.structure(linear) == StructureKind::Dense;
        const QString text = dense ? tr("dense") : QString::number(plan.rank(linear));
        return number(static_cast<double>(plan.rank(linear)), role, plan.locked(linear) ? text + tr(" (set)") : text);
    }
    case Kept:
        return number(kept, role, percentText(kept));
    case Predicted:
        return number(predicted, role, lossText(predicted));
    case Measured:
        return outcome ? number(relativeMeasuredLoss(*outcome), role, lossText(relativeMeasuredLoss(*outcome)))
                       : QVariant();
    default:
        return {};
    }
}

QVariant LinearTreeModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::ToolTipRole) {
        switch (section) {
        case Rank:
            return tr("Planned rank; dense where factors would save nothing");
        case Kept:
            return tr("Kept share of the parameters of the linear");
        case Predicted:
            return tr("Predicted loss of the plan over the loss of leaving the linear out");
        case Measured:
            return tr("Measured loss of the run shown, on its calibration statistics, in the same measure");
        default:
            return {};
        }
    }
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Name:
        return tr("Linear");
    case Shape:
        return tr("Shape");
    case Type:
        return tr("Type");
    case Parameters:
        return tr("Parameters");
    case Rank:
        return tr("Rank");
    case Kept:
        return tr("Kept");
    case Predicted:
        return tr("Predicted");
    case Measured:
        return tr("Measured");
    default:
        return {};
    }
}

} // namespace rankwright::ui
