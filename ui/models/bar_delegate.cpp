#include "ui/models/bar_delegate.h"

#include <QApplication>
#include <QPainter>

namespace rankwright::ui {

BarDelegate::BarDelegate(int barRole, QObject* parent)
    : QStyledItemDelegate(parent)
    , m_barRole(barRole)
{}

void BarDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const
{
    const QVariant share = index.data(m_barRole);
    const bool selected = option.state & QStyle::State_Selected;
    if (share.isValid() && !selected) {
        QColor colour = option.palette.color(QPalette::Highlight);
        colour.setAlphaF(0.28F);
        QRectF bar = QRectF(option.rect).adjusted(1.0, 2.0, -1.0, -2.0);
        bar.setWidth(bar.width() * share.toDouble());
        painter->fillRect(bar, colour);
    }
    const QWidget* widget = option.widget;
    QStyle* style = widget != nullptr ? widget->style() : QApplication::style();
    style->drawPrimitive(QStyle::PE_PanelItemViewItem, &option, painter, widget);
    paintText(painter, option, index, style);
    if (option.state & QStyle::State_HasFocus) {
        QStyleOptionFocusRect focus;
        focus.QStyleOption::operator=(option);
        focus.state |= QStyle::State_KeyboardFocusChange | QStyle::State_Item;
        focus.backgroundColor = option.palette.color(selected ? QPalette::Highlight : QPalette::Window);
        style->drawPrimitive(QStyle::PE_FrameFocusRect, &focus, painter, widget);
    }
}

void BarDelegate::paintText(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index,
                            const QStyle* style)
{
    QString text = index.data(Qt::DisplayRole).toString();
    if (text.isEmpty())
        return;
    // The same place as the style gives it.
    const int margin = style->pixelMetric(QStyle::PM_FocusFrameHMargin, &option, option.widget) + 1;
    const QRect area = option.rect.adjusted(margin, 0, -margin, 0);
    int width = option.fontMetrics.horizontalAdvance(text);
    if (width > area.width()) {
        text = option.fontMetrics.elidedText(text, option.textElideMode, area.width());
        width = option.fontMetrics.horizontalAdvance(text);
    }
    const QVariant alignment = index.data(Qt::TextAlignmentRole);
    const bool right = alignment.isValid() && (alignment.toInt() & Qt::AlignRight);
    const QPalette::ColorGroup group = !(option.state & QStyle::State_Enabled) ? QPalette::Disabled
                                       : (option.state & QStyle::State_Active) ? QPalette::Active
                                                                               : QPalette::Inactive;
    const bool selected = option.state & QStyle::State_Selected;
    painter->setFont(option.font);
    painter->setPen(option.palette.color(group, selected ? QPalette::HighlightedText : QPalette::Text));
    const int left = right ? area.right() + 1 - width : area.left();
    const int above = (area.height() - option.fontMetrics.height()) / 2;
    painter->drawText(QPoint(left, area.top() + above + option.fontMetrics.ascent()), text);
}

} // namespace rankwright::ui
