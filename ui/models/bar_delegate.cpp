#include "ui/models/bar_delegate.h"

#include <QPainter>

namespace rankwright::ui {

BarDelegate::BarDelegate(int barRole, QObject* parent)
    : QStyledItemDelegate(parent)
    , m_barRole(barRole)
{}

void BarDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const
{
    const QVariant share = index.data(m_barRole);
    if (share.isValid() && !(option.state & QStyle::State_Selected)) {
        QColor colour = option.palette.color(QPalette::Highlight);
        colour.setAlphaF(0.28F);
        QRectF bar = QRectF(option.rect).adjusted(1.0, 2.0, -1.0, -2.0);
        bar.setWidth(bar.width() * share.toDouble());
        painter->fillRect(bar, colour);
    }
    QStyledItemDelegate::paint(painter, option, index);
}

} // namespace rankwright::ui
