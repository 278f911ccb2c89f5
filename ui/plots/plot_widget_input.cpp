// What the mouse does in a PlotWidget.
#include "ui/plots/plot_widget.h"

#include <QMouseEvent>
#include <QWheelEvent>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rankwright::ui {

namespace {

constexpr double grabDistance = 6.0;
constexpr double pointDistance = 8.0;
constexpr double dragStart = 5.0;
/// A rubber band thinner than this zooms along the other axis only.
constexpr double thinBand = 14.0;

} // namespace

double PlotWidget::smallest(bool alongX) const
{
    const AxisView& full = alongX ? m_figure.xFull() : m_figure.yFull();
    const PlotAxis& axis = alongX ? data().x : data().y;
    if (axis.integer && !axis.logarithmic)
        return std::min(2.0, full.length());
    return 1e-6 * full.length();
}

void PlotWidget::zoom(const QPointF& anchor, double factor, bool alongX, bool alongY)
{
    const QRectF area = plotArea();
    AxisView x = m_figure.xView();
    AxisView y = m_figure.yView();
    const double anchorX = x.lower + (anchor.x() - area.left()) / area.width() * x.length();
    const double anchorY = y.lower + (area.bottom() - anchor.y()) / area.height() * y.length();
    if (alongX)
        x = zoomed(x, m_figure.xFull(), std::clamp(anchorX, x.lower, x.upper), factor, smallest(true));
    if (alongY)
        y = zoomed(y, m_figure.yFull(), std::clamp(anchorY, y.lower, y.upper), factor, smallest(false));
    setView(x, y);
}

void PlotWidget::pan(const QPointF& pixels)
{
    const QRectF area = plotArea();
    const AxisView& x = m_figure.xView();
    const AxisView& y = m_figure.yView();
    setView(moved(x, m_figure.xFull(), -pixels.x() / area.width() * x.length()),
            moved(y, m_figure.yFull(), pixels.y() / area.height() * y.length()));
}

QRectF PlotWidget::rubberBand() const
{
    const QRectF area = plotArea();
    QRectF band = QRectF(m_pressed, m_pointer).normalized().intersected(area);
    if (band.height() < thinBand && band.width() >= thinBand) {
        band.setTop(area.top());
        band.setBottom(area.bottom());
    } else if (band.width() < thinBand && band.height() >= thinBand) {
        band.setLeft(area.left());
        band.setRight(area.right());
    }
    return band;
}

void PlotWidget::zoomInto(const QRectF& band)
{
    const QRectF area = plotArea();
    if (band.width() < dragStart || band.height() < dragStart)
        return;
    const auto part = [](const AxisView& view, double from, double to, double least) {
        const double middle = view.lower + 0.5 * (from + to) * view.length();
        const double half = 0.5 * std::max((to - from) * view.length(), least);
        return AxisView{middle - half, middle + half};
    };
    setView(part(m_figure.xView(), (band.left() - area.left()) / area.width(),
                 (band.right() - area.left()) / area.width(), smallest(true)),
            part(m_figure.yView(), (area.bottom() - band.bottom()) / area.height(),
                 (area.bottom() - band.top()) / area.height(), smallest(false)));
}

int PlotWidget::markerAt(const QPointF& pixel) const
{
    const QRectF area = plotArea();
    if (m_figure.isEmpty() || pixel.y() < area.top() || pixel.y() > area.bottom() + grabDistance)
        return -1;
    int nearest = -1;
    double distance = grabDistance;
    for (int place = 0; place < markers().size(); ++place) {
        const PlotMarker& marker = markers()[place];
        if (!marker.draggable || !isShowable(marker.x, logarithmicX()))
            continue;
        const double away = std::abs(toPixel({marker.x, 1.0}).x() - pixel.x());
        if (away <= distance) {
            distance = away;
            nearest = place;
        }
    }
    return nearest;
}

void PlotWidget::dragMarker(int place, double x, bool finished)
{
    // Inside the data, not the room around them: beyond there is nothing a marker could mean.
    double lower = std::numeric_limits<double>::infinity();
    double upper = -lower;
    for (const Curve& curve : m_figure.curves()) {
        if (curve.size() == 0)
            continue;
        lower = std::min(lower, curve.point(0).x());
        upper = std::max(upper, curve.point(curve.size() - 1).x());
    }
    if (data().x.min)
        lower = *data().x.min;
    if (data().x.max)
        upper = *data().x.max;
    double kept = lower <= upper ? std::clamp(x, lower, upper) : x;
    if (data().x.integer)
        kept = std::round(kept);
    PlotMarker& marker = m_figure.markers()[place];
    const bool changed = marker.x != kept;
    marker.x = kept;
    update();
    if (changed || finished)
        emit markerDragged(marker.id, kept, finished);
}

std::optional<PlotReading> PlotWidget::pointNear(const QPointF& pixel) const
{
    if (m_figure.isEmpty() ||
        !plotArea().adjusted(-pointDistance, -pointDistance, pointDistance, pointDistance).contains(pixel))
        return std::nullopt;
    const double lower = toValue(pixel - QPointF(pointDistance, 0.0)).x();
    const double upper = toValue(pixel + QPointF(pointDistance, 0.0)).x();
    std::optional<PlotReading> nearest;
    double least = pointDistance;
    const QVector<Curve>& curves = m_figure.curves();
    for (int series = 0; series < curves.size(); ++series) {
        const auto [first, last] = curves[series].within(lower, upper);
        for (qsizetype position = first; position < last; ++position) {
            const QPointF& point = curves[series].point(position);
            if (!isShowable(point.x(), logarithmicX()) || !isShowable(point.y(), logarithmicY()))
                continue;
            const QPointF away = toPixel(point) - pixel;
            const double distance = std::hypot(away.x(), away.y());
            if (distance < least || (!nearest && distance <= least)) {
                least = distance;
                nearest = PlotReading{series, curves[series].sourceIndex(position), point};
            }
        }
    }
    return nearest;
}

void PlotWidget::hover(const QPointF& pixel)
{
    const QRectF area = plotArea();
    const std::optional<PlotReading> near = pointNear(pixel);
    const QPair<int, int> hovered = near ? QPair<int, int>(near->series, near->index) : QPair<int, int>(-1, -1);
    m_crosshair.reset();
    if (area.contains(pixel) && !m_figure.isEmpty())
        m_crosshair = toValue(pixel).x();
    if (hovered != m_hovered) {
        m_hovered = hovered;
        emit pointHovered(hovered.first, hovered.second);
    }
    updateCursor(pixel);
    update();
}

void PlotWidget::updateCursor(const QPointF& pixel)
{
    if (m_drag == Drag::Pan)
        setCursor(Qt::ClosedHandCursor);
    else if (m_spaceHeld)
        setCursor(Qt::OpenHandCursor);
    else if (m_drag == Drag::Marker || markerAt(pixel) >= 0)
        setCursor(Qt::SizeHorCursor);
    else if (!m_figure.isEmpty() && plotArea().contains(pixel))
        setCursor(Qt::CrossCursor);
    else
        unsetCursor();
}

void PlotWidget::mousePressEvent(QMouseEvent* event)
{
    m_pressed = m_pointer = event->position();
    if (m_figure.isEmpty() || m_drag != Drag::None)
        return;
    if (event->button() == Qt::MiddleButton || (event->button() == Qt::LeftButton && m_spaceHeld)) {
        m_drag = Drag::Pan;
    } else if (event->button() == Qt::LeftButton) {
        m_draggedMarker = markerAt(m_pressed);
        m_focusedMarker = m_draggedMarker;
        if (m_draggedMarker >= 0)
            m_drag = Drag::Marker;
        else if (plotArea().contains(m_pressed))
            m_drag = Drag::Press;
    }
    updateCursor(m_pressed);
    update();
}

void PlotWidget::mouseMoveEvent(QMouseEvent* event)
{
    const QPointF before = m_pointer;
    m_pointer = event->position();
    switch (m_drag) {
    case Drag::Marker:
        m_crosshair = toValue(m_pointer).x();
        dragMarker(m_draggedMarker, toValue(m_pointer).x(), false);
        return;
    case Drag::Pan:
        pan(m_pointer - before);
        return;
    case Drag::Press:
        if ((m_pointer - m_pressed).manhattanLength() < dragStart)
            return;
        m_drag = Drag::RubberBand;
        update();
        return;
    case Drag::RubberBand:
        update();
        return;
    case Drag::None:
        break;
    }
    hover(m_pointer);
}

void PlotWidget::mouseReleaseEvent(QMouseEvent* event)
{
    m_pointer = event->position();
    const Drag drag = m_drag;
    m_drag = Drag::None;
    switch (drag) {
    case Drag::Marker:
        dragMarker(m_draggedMarker, toValue(m_pointer).x(), true);
        m_draggedMarker = -1;
        break;
    case Drag::RubberBand:
        zoomInto(rubberBand());
        break;
    case Drag::Press:
        if (const std::optional<PlotReading> near = pointNear(m_pressed))
            emit pointClicked(near->series, near->index);
        break;
    case Drag::Pan:
    case Drag::None:
        break;
    }
    hover(m_pointer);
}

void PlotWidget::mouseDoubleClickEvent(QMouseEvent* event)
{
    if (event->button() == Qt::LeftButton)
        resetView();
}

void PlotWidget::wheelEvent(QWheelEvent* event)
{
    if (m_figure.isEmpty()) {
        event->ignore();
        return;
    }
    const QPointF pixel = event->position();
    const QRectF area = plotArea();
    const double turned = event->angleDelta().y() != 0 ? event->angleDelta().y() : event->angleDelta().x();
    const bool overX = pixel.y() > area.bottom();
    const bool overY = pixel.x() < area.left();
    const bool control = event->modifiers().testFlag(Qt::ControlModifier);
    const bool shift = event->modifiers().testFlag(Qt::ShiftModifier);
    zoom(pixel, std::pow(0.8, turned / 120.0), !overY && !shift, !overX && !control);
    hover(pixel);
    event->accept();
}

void PlotWidget::leaveEvent(QEvent* event)
{
    QWidget::leaveEvent(event);
    m_crosshair.reset();
    if (m_hovered.first >= 0) {
        m_hovered = {-1, -1};
        emit pointHovered(-1, -1);
    }
    update();
}

} // namespace rankwright::ui
