// What the mouse and the keyboard do in a HeatMap.
#include "ui/plots/heat_map.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QScrollBar>

#include <algorithm>
#include <cmath>

namespace rankwright::ui {

bool HeatMap::viewportEvent(QEvent* event)
{
    if (event->type() == QEvent::Leave)
        hover({-1, -1}, {});
    return QAbstractScrollArea::viewportEvent(event);
}

void HeatMap::mousePressEvent(QMouseEvent* event)
{
    const HeatCell cell = cellAt(event->position());
    if (event->button() != Qt::LeftButton || cell.first < 0)
        return;
    setCurrentCell(cell.first, cell.second);
    emit cellClicked(cell.first, cell.second);
}

void HeatMap::mouseMoveEvent(QMouseEvent* event)
{
    hover(cellAt(event->position()), event->position());
}

void HeatMap::mouseDoubleClickEvent(QMouseEvent* event)
{
    const HeatCell cell = cellAt(event->position());
    if (event->button() == Qt::LeftButton && cell.first >= 0)
        emit cellActivated(cell.first, cell.second);
}

void HeatMap::hover(const HeatCell& cell, const QPointF& position)
{
    m_pointer = position;
    if (cell != m_hovered) {
        m_hovered = cell;
        emit cellHovered(cell.first, cell.second);
    } else if (cell.first < 0) {
        return;
    }
    viewport()->update();
}

void HeatMap::moveCurrent(int row, int column)
{
    setCurrentCell(std::clamp(row, 0, rows() - 1), std::clamp(column, 0, columns() - 1));
    const QRectF cell = cellRect(m_current.first, m_current.second);
    const auto reveal = [](QScrollBar* bar, double before, double after) {
        if (before < 0.0)
            bar->setValue(bar->value() + static_cast<int>(std::floor(before)));
        else if (after > 0.0)
            bar->setValue(bar->value() + static_cast<int>(std::ceil(after)));
    };
    reveal(verticalScrollBar(), cell.top() - m_layout.cells.top(), cell.bottom() - m_layout.cells.bottom());
    reveal(horizontalScrollBar(), cell.left() - m_layout.cells.left(), cell.right() - m_layout.cells.right());
}

void HeatMap::keyPressEvent(QKeyEvent* event)
{
    if (isEmpty()) {
        QAbstractScrollArea::keyPressEvent(event);
        return;
    }
    const int row = std::max(0, m_current.first);
    const int column = std::max(0, m_current.second);
    const bool none = m_current.first < 0;
    const bool control = event->modifiers().testFlag(Qt::ControlModifier);
    switch (event->key()) {
    case Qt::Key_Up:
        moveCurrent(row - (none ? 0 : 1), column);
        return;
    case Qt::Key_Down:
        moveCurrent(row + (none ? 0 : 1), column);
        return;
    case Qt::Key_Left:
        moveCurrent(row, column - (none ? 0 : 1));
        return;
    case Qt::Key_Right:
        moveCurrent(row, column + (none ? 0 : 1));
        return;
    case Qt::Key_Home:
        moveCurrent(control ? 0 : row, 0);
        return;
    case Qt::Key_End:
        moveCurrent(control ? rows() - 1 : row, columns() - 1);
        return;
    case Qt::Key_Return:
    case Qt::Key_Enter:
        if (!none)
            emit cellActivated(row, column);
        return;
    case Qt::Key_Space:
        if (!none)
            emit cellClicked(row, column);
        return;
    default:
        QAbstractScrollArea::keyPressEvent(event);
    }
}

void HeatMap::focusInEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusInEvent(event);
    viewport()->update();
}

void HeatMap::focusOutEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusOutEvent(event);
    viewport()->update();
}

} // namespace rankwright::ui
