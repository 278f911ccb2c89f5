#include "ui/models/health_model.h"

#include "ui/session/text.h"

namespace rankwright::ui {

HealthModel::HealthModel(HealthLog& health, QObject* parent)
    : QAbstractTableModel(parent)
    , m_health(health)
    , m_rows(static_cast<int>(health.entries().size()))
{
    connect(&health, &HealthLog::added, this, [this](int first, int count) {
        beginInsertRows({}, first, first + count - 1);
        m_rows += count;
        endInsertRows();
    });
    connect(&health, &HealthLog::cleared, this, [this] {
        beginResetModel();
        m_rows = 0;
        endResetModel();
    });
}

int HealthModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : m_rows;
}

int HealthModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant HealthModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || (role != Qt::DisplayRole && role != Qt::ToolTipRole))
        return {};
    const HealthEntry& entry = m_health.entries()[static_cast<std::size_t>(index.row())];
    switch (index.column()) {
    case Time:
        return entry.time.toString(QStringLiteral("HH:mm:ss"));
    case Run:
        return entry.run > 0 ? tr("run %1").arg(entry.run) : tr("analysis");
    case Kind:
        return toQString(entry.event.kind);
    case Linear:
        return toQString(entry.event.linear);
    case Message:
        return toQString(entry.event.message);
    case Value:
        return entry.event.value != 0.0 ? QVariant(entry.event.value) : QVariant();
    default:
        return {};
    }
}

QVariant HealthModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Time:
        return tr("Time");
    case Run:
        return tr("From");
    case Kind:
        return tr("Kind");
    case Linear:
        return tr("Linear");
    case Message:
        return tr("What happened");
    case Value:
        return tr("Value");
    default:
        return {};
    }
}

} // namespace rankwright::ui
