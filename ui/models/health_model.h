#pragma once

#include "ui/session/health_log.h"

#include <QAbstractTableModel>

namespace rankwright::ui {

/// Numeric events, one a row.
class HealthModel : public QAbstractTableModel
{
    Q_OBJECT

public:
    enum Column { Time, Run, Kind, Linear, Message, Value, ColumnCount };

    explicit HealthModel(HealthLog& health, QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    HealthLog& m_health;
    int m_rows = 0;
};

} // namespace rankwright::ui
