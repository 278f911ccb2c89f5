#pragma once

#include <QStyledItemDelegate>

namespace rankwright::ui {

/// Paints one line of text, and a share in [0, 1] of a role as a bar behind it. Icons, ticks and fonts of cells are not
/// looked at: a tree whose every cell changes with a slider is painted in a third of the time.
class BarDelegate : public QStyledItemDelegate
{
    Q_OBJECT

public:
    explicit BarDelegate(int barRole, QObject* parent = nullptr);
    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;

private:
    static void paintText(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index,
                          const QStyle* style);

    int m_barRole;
};

} // namespace rankwright::ui
