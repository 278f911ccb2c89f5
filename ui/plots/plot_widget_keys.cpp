// What the keyboard does in a PlotWidget.
#include "ui/plots/plot_widget.h"

#include <QKeyEvent>

#include <algorithm>

namespace rankwright::ui {

void PlotWidget::stepMarker(int steps)
{
    const PlotMarker& marker = markers()[m_focusedMarker];
    const double x = data().x.integer ? marker.x + steps : toValue(toPixel({marker.x, 1.0}) + QPointF(steps, 0.0)).x();
    m_keyMovedMarker = true;
    dragMarker(m_focusedMarker, x, false);
    // Follow it where it leaves the view.
    const QRectF area = plotArea();
    const double pixel = toPixel({markers()[m_focusedMarker].x, 1.0}).x();
    if (pixel < area.left() || pixel > area.right())
        pan({area.center().x() - pixel, 0.0});
}

int PlotWidget::nextDraggable(int from, int direction) const
{
    for (int place = from + direction; place >= 0 && place < markers().size(); place += direction) {
        if (markers()[place].draggable)
            return place;
    }
    return -1;
}

void PlotWidget::stepCrosshair(int steps)
{
    const QVector<Curve>& curves = m_figure.curves();
    const auto curve = std::find_if(curves.begin(), curves.end(), [](const Curve& c) { return c.size() > 0; });
    if (curve == curves.end())
        return;
    const double start = m_crosshair.value_or(toValue(plotArea().center()).x());
    const qsizetype position = std::clamp<qsizetype>(curve->nearest(start) + steps, 0, curve->size() - 1);
    m_crosshair = curve->point(position).x();
    m_pointer = plotArea().center();
    update();
}

void PlotWidget::keyPressEvent(QKeyEvent* event)
{
    const bool shift = event->modifiers().testFlag(Qt::ShiftModifier);
    const bool control = event->modifiers().testFlag(Qt::ControlModifier);
    const int steps = shift ? 10 : 1;
    const QRectF area = plotArea();
    switch (event->key()) {
    case Qt::Key_Left:
    case Qt::Key_Right: {
        const int direction = event->key() == Qt::Key_Left ? -1 : 1;
        if (control)
            stepCrosshair(direction * steps);
        else if (m_focusedMarker >= 0)
            stepMarker(direction * steps);
        else
            pan({-direction * 0.1 * area.width(), 0.0});
        return;
    }
    case Qt::Key_Up:
        pan({0.0, 0.1 * area.height()});
        return;
    case Qt::Key_Down:
        pan({0.0, -0.1 * area.height()});
        return;
    case Qt::Key_Plus:
    case Qt::Key_Equal:
        zoom(area.center(), 0.8, true, true);
        return;
    case Qt::Key_Minus:
        zoom(area.center(), 1.25, true, true);
        return;
    case Qt::Key_Home:
        resetView();
        return;
    case Qt::Key_Escape:
        if (m_drag == Drag::RubberBand || m_drag == Drag::Press) {
            m_drag = Drag::None;
            update();
            return;
        }
        if (m_focusedMarker >= 0 || m_crosshair) {
            m_focusedMarker = -1;
            m_crosshair.reset();
            update();
            return;
        }
        break;
    case Qt::Key_Space:
        m_spaceHeld = true;
        updateCursor(m_pointer);
        return;
    default:
        break;
    }
    QWidget::keyPressEvent(event);
}

void PlotWidget::keyReleaseEvent(QKeyEvent* event)
{
    if (event->isAutoRepeat())
        return;
    if (event->key() == Qt::Key_Space) {
        m_spaceHeld = false;
        updateCursor(m_pointer);
        return;
    }
    if (m_keyMovedMarker && (event->key() == Qt::Key_Left || event->key() == Qt::Key_Right)) {
        m_keyMovedMarker = false;
        if (m_focusedMarker >= 0)
            dragMarker(m_focusedMarker, markers()[m_focusedMarker].x, true);
        return;
    }
    QWidget::keyReleaseEvent(event);
}

void PlotWidget::focusInEvent(QFocusEvent* event)
{
    if (event->reason() == Qt::BacktabFocusReason)
        m_focusedMarker = nextDraggable(static_cast<int>(markers().size()), -1);
    else if (event->reason() == Qt::TabFocusReason)
        m_focusedMarker = -1;
    QWidget::focusInEvent(event);
    update();
}

void PlotWidget::focusOutEvent(QFocusEvent* event)
{
    m_spaceHeld = false;
    QWidget::focusOutEvent(event);
    update();
}

bool PlotWidget::focusNextPrevChild(bool next)
{
    const bool leavesBackwards = !next && m_focusedMarker < 0;
    const int following = leavesBackwards ? -1 : nextDraggable(m_focusedMarker, next ? 1 : -1);
    if (following >= 0 || (!next && m_focusedMarker >= 0)) {
        m_focusedMarker = following;
        update();
        return true;
    }
    return QWidget::focusNextPrevChild(next);
}

} // namespace rankwright::ui
