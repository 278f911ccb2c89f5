#pragma once

#include <QStyledItemDelegate>

namespace rankwright::ui {

/// Paints a share in [0, 1] of a role as a bar behind the text of the cell.
class BarDelegate : public QStyledItemDelegate
{
    Q_OBJECT

public:
    explicit BarDelegate(int barRole, QObject* parent = nullptr);
    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;

private:
    int m_barRole;
};

} // namespace rankwright::ui
