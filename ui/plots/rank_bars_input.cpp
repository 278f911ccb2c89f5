// What the mouse and the keyboard do in RankBars.
#include "ui/plots/rank_bars.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QScrollBar>
#include <QWheelEvent>

#include <algorithm>
#include <cmath>

namespace rankwright::ui {

namespace {

constexpr double dragStart = 3.0;

} // namespace

void RankBars::select(int index, Qt::KeyboardModifiers modifiers)
{
    const QVector<int> before = selection();
    if (modifiers.testFlag(Qt::ShiftModifier) && m_anchor >= 0) {
        for (int other = 0; other < m_bars.size(); ++other)
            m_bars[other].selected = other >= std::min(m_anchor, index) && other <= std::max(m_anchor, index);
    } else if (modifiers.testFlag(Qt::ControlModifier)) {
        m_bars[index].selected = !m_bars[index].selected;
        m_anchor = index;
    } else {
        for (int other = 0; other < m_bars.size(); ++other)
            m_bars[other].selected = other == index;
        m_anchor = index;
    }
    m_current = index;
    describe();
    viewport()->update();
    emit selected(index);
    const QVector<int> after = selection();
    if (after != before)
        emit selectionChanged(after);
}

void RankBars::changeRank(int index, int rank, bool finished)
{
    RankBar& bar = m_bars[index];
    const int kept = std::clamp(rank, 1, std::max(1, bar.fullRank));
    const bool changed = bar.rank != kept;
    if (changed) {
        bar.rank = kept;
        updateColumn(index);
        if (m_hovered >= 0)
            viewport()->update();
    }
    if (finished)
        describe();
    if (changed || finished)
        emit rankDragged(index, kept, finished);
}

void RankBars::goTo(int index, Qt::KeyboardModifiers modifiers)
{
    if (m_bars.isEmpty())
        return;
    const int target = std::clamp(index, 0, static_cast<int>(m_bars.size()) - 1);
    select(target, modifiers & Qt::ShiftModifier);
    reveal(target);
}

void RankBars::hover(int index, const QPointF& position)
{
    m_pointer = position;
    if (index != m_hovered) {
        m_hovered = index;
        emit hovered(index);
    } else if (index < 0) {
        return;
    }
    viewport()->update();
}

bool RankBars::viewportEvent(QEvent* event)
{
    if (event->type() == QEvent::Leave)
        hover(-1, {});
    return QAbstractScrollArea::viewportEvent(event);
}

void RankBars::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return;
    m_pressed = event->position();
    m_pressedIndex = barAt(m_pressed);
    m_dragging = false;
    if (m_pressedIndex >= 0)
        select(m_pressedIndex, event->modifiers());
}

void RankBars::mouseMoveEvent(QMouseEvent* event)
{
    const QPointF position = event->position();
    if (m_pressedIndex >= 0 && m_bars[m_pressedIndex].adjustable()) {
        m_dragging = m_dragging || std::abs(position.y() - m_pressed.y()) >= dragStart;
        if (m_dragging) {
            m_pointer = position;
            m_hovered = m_pressedIndex;
            changeRank(m_pressedIndex, rankAt(m_pressedIndex, position.y()), false);
            return;
        }
    }
    const int index = barAt(position);
    if (index < 0)
        viewport()->unsetCursor();
    else
        viewport()->setCursor(m_bars[index].adjustable() ? Qt::SizeVerCursor : Qt::ForbiddenCursor);
    hover(index, position);
}

void RankBars::mouseReleaseEvent(QMouseEvent* event)
{
    const int index = m_pressedIndex;
    m_pressedIndex = -1;
    if (m_dragging && index >= 0) {
        m_dragging = false;
        changeRank(index, rankAt(index, event->position().y()), true);
    }
    hover(barAt(event->position()), event->position());
}

void RankBars::mouseDoubleClickEvent(QMouseEvent* event)
{
    const int index = barAt(event->position());
    if (event->button() == Qt::LeftButton && index >= 0)
        emit activated(index);
}

void RankBars::wheelEvent(QWheelEvent* event)
{
    const QPoint turned = event->angleDelta();
    QScrollBar* bar = horizontalScrollBar();
    if (event->modifiers().testFlag(Qt::ShiftModifier) || std::abs(turned.x()) > std::abs(turned.y())) {
        const int along = turned.x() != 0 ? turned.x() : turned.y();
        bar->setValue(bar->value() - along * std::max(1, bar->singleStep()) / 120);
    } else if (m_plotArea.width() > 0.0) {
        const double anchor = std::clamp((event->position().x() - m_plotArea.left()) / m_plotArea.width(), 0.0, 1.0);
        setZoom(m_zoom * std::pow(1.25, turned.y() / 120.0), anchor);
    }
    hover(barAt(event->position()), event->position());
    event->accept();
}

void RankBars::keyPressEvent(QKeyEvent* event)
{
    const bool shift = event->modifiers().testFlag(Qt::ShiftModifier);
    const auto change = [this](int by) {
        if (m_current < 0 || !m_bars[m_current].adjustable())
            return;
        m_keyChangedRank = true;
        changeRank(m_current, m_bars[m_current].rank + by, false);
    };
    const int page = m_current >= 0 ? std::max(1, m_bars[m_current].fullRank / 20) : 1;
    switch (event->key()) {
    case Qt::Key_Left:
        goTo(m_current < 0 ? 0 : m_current - 1, event->modifiers());
        return;
    case Qt::Key_Right:
        goTo(m_current + 1, event->modifiers());
        return;
    case Qt::Key_Home:
        goTo(0, event->modifiers());
        return;
    case Qt::Key_End:
        goTo(static_cast<int>(m_bars.size()) - 1, event->modifiers());
        return;
    case Qt::Key_Up:
        change(shift ? 10 : 1);
        return;
    case Qt::Key_Down:
        change(shift ? -10 : -1);
        return;
    case Qt::Key_PageUp:
        change(page);
        return;
    case Qt::Key_PageDown:
        change(-page);
        return;
    case Qt::Key_Plus:
    case Qt::Key_Equal:
        setZoom(1.25 * m_zoom);
        return;
    case Qt::Key_Minus:
        setZoom(m_zoom / 1.25);
        return;
    case Qt::Key_Return:
    case Qt::Key_Enter:
        if (m_current >= 0)
            emit activated(m_current);
        return;
    default:
        QAbstractScrollArea::keyPressEvent(event);
    }
}

void RankBars::keyReleaseEvent(QKeyEvent* event)
{
    if (!event->isAutoRepeat() && m_keyChangedRank) {
        m_keyChangedRank = false;
        if (m_current >= 0)
            changeRank(m_current, m_bars[m_current].rank, true);
        return;
    }
    QAbstractScrollArea::keyReleaseEvent(event);
}

void RankBars::focusInEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusInEvent(event);
    viewport()->update();
}

void RankBars::focusOutEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusOutEvent(event);
    viewport()->update();
}

} // namespace rankwright::ui
