// How PlotFigure paints; layout and mapping are in plot_figure.cpp.
#include "ui/plots/plot_figure.h"

#include "ui/theme/theme.h"

#include <QFontMetricsF>
#include <QPaintEngine>
#include <QPainter>
#include <QPixmap>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double pointSize = 7.0;
/// A picture of a marker with its edges; even, so that the middle lies between pixels.
constexpr double stampSize = 12.0;
/// Beyond this many markers of a series one picture is copied, on pixels, which is several times as fast.
constexpr qsizetype mostPaths = 200;
/// Pixels between the markers of a line that has them only to be told from others.
constexpr double sparseSpacing = 110.0;

} // namespace

void PlotFigure::paint(QPainter& painter, const QPalette& palette)
{
    const FigureColours colours(palette);
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.fillRect(QRectF(QPointF(), m_size), colours.background);
    if (m_empty) {
        paintTexts(painter, colours);
        paintEmptyText(painter, colours, m_fonts.text, m_note.isEmpty() ? m_emptyText : m_note,
                       QRectF(QPointF(), m_size));
        painter.restore();
        return;
    }
    paintShaded(painter, colours);
    paintAxes(painter, colours);
    updateCurves(colours.dark);
    const QRectF whole(QPointF(), m_size);
    m_scene.setSceneRect(whole);
    m_scene.render(&painter, whole, whole);
    paintBars(painter, colours);
    paintPoints(painter, colours);
    paintTexts(painter, colours);
    painter.restore();
}

void PlotFigure::paintShaded(QPainter& painter, const FigureColours& colours) const
{
    if (!m_data.shaded)
        return;
    const auto edge = [this](double value, double otherwise) {
        if (!isShowable(value, logarithmicX()))
            return otherwise;
        return std::clamp(toPixel({value, 1.0}).x(), m_plotArea.left(), m_plotArea.right());
    };
    const double left = edge(m_data.shaded->first, m_plotArea.left());
    const double right = edge(m_data.shaded->second, m_plotArea.right());
    if (right - left < 0.5)
        return;
    const QRectF area(left, m_plotArea.top(), right - left, m_plotArea.height());
    painter.fillRect(area, mixed(colours.background, colours.text, 0.06));
    painter.fillRect(area, QBrush(mixed(colours.background, colours.text, 0.13), Qt::BDiagPattern));
    if (m_data.shadedLabel.isEmpty())
        return;
    // Upright, so that a narrow strip can bear it, and away from the markers at its beginning.
    painter.save();
    painter.setFont(m_fonts.ticks);
    painter.setPen(colours.quiet);
    const QFontMetricsF metrics(m_fonts.ticks);
    const double room = area.height() - 2.0 * gap;
    const QString text = metrics.elidedText(m_data.shadedLabel, Qt::ElideRight, room);
    const double length = metrics.horizontalAdvance(text);
    if (area.width() >= metrics.height() + 4.0) {
        painter.translate(area.right() - 3.0 - metrics.descent(), area.top() + gap + length);
        painter.rotate(-90.0);
        painter.fillRect(QRectF(-2.0, -metrics.ascent(), length + 4.0, metrics.height()), colours.background);
        painter.drawText(QPointF(0.0, 0.0), text);
    }
    painter.restore();
}

void PlotFigure::paintAxes(QPainter& painter, const FigureColours& colours) const
{
    const QFontMetricsF metrics(m_fonts.ticks);
    painter.setFont(m_fonts.ticks);
    const auto xPixel = [this](double position) {
        return m_plotArea.left() + (position - m_xView.lower) / m_xView.length() * m_plotArea.width();
    };
    const auto yPixel = [this](double position) {
        return m_plotArea.bottom() - (position - m_yView.lower) / m_yView.length() * m_plotArea.height();
    };
    // Half a pixel off, so that lines of one pixel are sharp.
    const auto sharp = [](double pixel) { return std::floor(pixel) + 0.5; };

    for (const AxisTick& tick : m_xTicks) {
        painter.setPen(QPen(tick.label.isEmpty() ? colours.minorGrid : colours.grid, 1.0));
        const double x = sharp(xPixel(tick.position));
        painter.drawLine(QPointF(x, m_plotArea.top()), QPointF(x, m_plotArea.bottom()));
    }
    for (const AxisTick& tick : m_yTicks) {
        painter.setPen(QPen(tick.label.isEmpty() ? colours.minorGrid : colours.grid, 1.0));
        const double y = sharp(yPixel(tick.position));
        painter.drawLine(QPointF(m_plotArea.left(), y), QPointF(m_plotArea.right(), y));
    }
    painter.setPen(QPen(colours.axis, 1.0));
    const double bottom = sharp(m_plotArea.bottom());
    const double left = sharp(m_plotArea.left());
    painter.drawLine(QPointF(left, m_plotArea.top()), QPointF(left, bottom));
    painter.drawLine(QPointF(left, bottom), QPointF(m_plotArea.right(), bottom));

    painter.setPen(colours.quiet);
    double occupied = -1e9;
    for (const AxisTick& tick : m_xTicks) {
        const double width = metrics.horizontalAdvance(tick.label);
        double x = xPixel(tick.position) - 0.5 * width;
        x = std::min(x, m_size.width() - width - 2.0);
        if (tick.label.isEmpty() || x < occupied + 4.0)
            continue;
        painter.drawText(QPointF(x, m_plotArea.bottom() + 5.0 + metrics.ascent()), tick.label);
        occupied = x + width;
    }
    for (const AxisTick& tick : m_yTicks) {
        if (tick.label.isEmpty())
            continue;
        const double width = metrics.horizontalAdvance(tick.label);
        painter.drawText(QPointF(m_plotArea.left() - gap - width, yPixel(tick.position) + 0.35 * metrics.ascent()),
                         tick.label);
    }
}

void PlotFigure::paintSample(QPainter& painter, int series, const QRectF& area, bool dark) const
{
    const PlotSeries& shown = m_data.series[series];
    const QPointF centre = area.center();
    if (shown.line) {
        painter.setPen(penOf(series, dark));
        painter.drawLine(QPointF(area.left(), centre.y()), QPointF(area.right(), centre.y()));
    }
    if (shown.markers || m_data.series.size() > 1)
        paintMarkerShape(painter, seriesStyle(colourIndex(series)).marker, centre, pointSize,
                         seriesColourOf(series, dark));
}

void PlotFigure::paintBars(QPainter& painter, const FigureColours& colours) const
{
    const auto showable = [this](const QPointF& end) {
        return isShowable(end.x(), logarithmicX()) && isShowable(end.y(), logarithmicY());
    };
    painter.save();
    painter.setClipRect(m_plotArea);
    for (int series = 0; series < m_data.series.size(); ++series) {
        painter.setPen(QPen(seriesColourOf(series, colours.dark), 1.0));
        for (const QLineF& bar : m_data.series[series].bars)
            if (showable(bar.p1()) && showable(bar.p2()))
                painter.drawLine(toPixel(bar.p1()), toPixel(bar.p2()));
    }
    painter.restore();
}

void PlotFigure::paintPoints(QPainter& painter, const FigureColours& colours) const
{
    painter.save();
    painter.setClipRect(m_plotArea.adjusted(-0.5 * pointSize, -0.5 * pointSize, 0.5 * pointSize, 0.5 * pointSize));
    const int width = std::max(1, static_cast<int>(m_plotArea.width() / 2.0) + 1);
    const int height = std::max(1, static_cast<int>(m_plotArea.height() / 2.0) + 1);
    std::vector<bool> taken;
    const bool rastered = painter.paintEngine()->type() == QPaintEngine::Raster;
    const double ratio = painter.deviceTransform().m11();
    const auto onPixels = [ratio](const QPointF& point) {
        return QPointF(std::round(point.x() * ratio), std::round(point.y() * ratio)) / ratio;
    };
    const auto stampOf = [ratio](MarkerShape shape, const QColor& colour) {
        QPixmap stamp(QSize(1, 1) * static_cast<int>(std::ceil(stampSize * ratio)));
        stamp.setDevicePixelRatio(ratio);
        stamp.fill(Qt::transparent);
        QPainter stampPainter(&stamp);
        stampPainter.setRenderHint(QPainter::Antialiasing);
        paintMarkerShape(stampPainter, shape, QPointF(stampSize, stampSize) / 2.0, pointSize, colour);
        return stamp;
    };
    for (int series = 0; series < m_curves.size(); ++series) {
        const bool all = m_data.series[series].markers;
        if (!all && m_data.series.size() < 2)
            continue;
        const Curve& curve = m_curves[series];
        const MarkerShape shape = seriesStyle(colourIndex(series)).marker;
        const QColor colour = seriesColourOf(series, colours.dark);
        const QPixmap stamp = all && rastered && curve.size() > mostPaths ? stampOf(shape, colour) : QPixmap();
        const auto show = [&](qsizetype position) {
            const QPointF& point = curve.point(position);
            if (!isShowable(point.x(), logarithmicX()) || !isShowable(point.y(), logarithmicY()))
                return;
            const QPointF pixel = toPixel(point);
            if (!m_plotArea.adjusted(-1.0, -1.0, 1.0, 1.0).contains(pixel))
                return;
            if (all) {
                // Points that would cover each other are drawn once.
                const int column = std::clamp(static_cast<int>((pixel.x() - m_plotArea.left()) / 2.0), 0, width - 1);
                const int row = std::clamp(static_cast<int>((pixel.y() - m_plotArea.top()) / 2.0), 0, height - 1);
                auto place = taken[static_cast<std::size_t>(row) * static_cast<std::size_t>(width) +
                                   static_cast<std::size_t>(column)];
                if (place)
                    return;
                place = true;
            }
            if (stamp.isNull())
                paintMarkerShape(painter, shape, pixel, pointSize, colour);
            else
                painter.drawPixmap(onPixels(pixel - QPointF(stampSize, stampSize) / 2.0), stamp);
        };
        if (all) {
            taken.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), false);
            const auto [first, last] =
                curve.within(fromAxis(m_xView.lower, logarithmicX()), fromAxis(m_xView.upper, logarithmicX()));
            for (qsizetype position = first; position < last; ++position)
                show(position);
            continue;
        }
        // Staggered from curve to curve, so that curves on top of each other can be told apart.
        const double start = m_plotArea.left() + sparseSpacing * (0.25 + 0.37 * (series % 4));
        qsizetype previous = -1;
        const auto places = static_cast<int>(std::ceil((m_plotArea.right() - start) / sparseSpacing));
        for (int place = 0; place < places; ++place) {
            const double x = start + place * sparseSpacing;
            const qsizetype position = curve.nearest(toValue({x, m_plotArea.top()}).x());
            if (position >= 0 && position != previous)
                show(position);
            previous = position;
        }
    }
    painter.restore();
}

void PlotFigure::paintTexts(QPainter& painter, const FigureColours& colours) const
{
    painter.setPen(colours.text);
    painter.setFont(m_fonts.title);
    if (!m_titleArea.isEmpty())
        painter.drawText(m_titleArea, Qt::AlignLeft | Qt::TextWordWrap, m_data.title);
    if (m_empty)
        return;

    const QFontMetricsF tickMetrics(m_fonts.ticks);
    const QFontMetricsF textMetrics(m_fonts.text);
    for (const LegendEntry& entry : m_legend) {
        if (entry.series >= 0)
            paintSample(painter, entry.series,
                        QRectF(entry.area.left(), entry.area.top(), sampleWidth, entry.area.height()), colours.dark);
        painter.setPen(colours.text);
        painter.setFont(m_fonts.ticks);
        painter.drawText(QPointF(entry.area.left() + sampleWidth + gap, entry.area.top() + 1.5 + tickMetrics.ascent()),
                         entry.text);
    }

    painter.setFont(m_fonts.text);
    painter.setPen(colours.text);
    const double baseline = m_plotArea.bottom() + gap + tickMetrics.height() + textMetrics.ascent() + 1.0;
    if (!m_data.x.title.isEmpty()) {
        const QString title = textMetrics.elidedText(m_data.x.title, Qt::ElideRight, m_size.width() - 2.0 * margin);
        const double width = textMetrics.horizontalAdvance(title);
        const double x = std::clamp(m_plotArea.center().x() - 0.5 * width, margin,
                                    std::max(margin, m_size.width() - margin - width));
        painter.drawText(QPointF(x, baseline), title);
    }
    if (!m_yTitleArea.isEmpty()) {
        painter.drawText(m_yTitleArea.bottomLeft() - QPointF(0.0, textMetrics.descent()),
                         textMetrics.elidedText(m_data.y.title, Qt::ElideRight, m_yTitleArea.width()));
    } else if (!m_data.y.title.isEmpty()) {
        const double length = textMetrics.horizontalAdvance(m_data.y.title);
        const double y = std::clamp(m_plotArea.center().y() + 0.5 * length, m_plotArea.top() + length,
                                    std::max(m_plotArea.top() + length, m_size.height() - margin));
        painter.save();
        painter.translate(margin + textMetrics.ascent() - 2.0, y);
        painter.rotate(-90.0);
        painter.drawText(QPointF(0.0, 0.0), m_data.y.title);
        painter.restore();
    }
    if (!m_note.isEmpty()) {
        painter.setFont(m_fonts.ticks);
        painter.setPen(colours.quiet);
        painter.drawText(QPointF(margin, m_size.height() - margin - tickMetrics.descent() + 3.0), m_note);
    }
}

void PlotFigure::paintMarkers(QPainter& painter, const QPalette& palette, int focused) const
{
    if (m_empty || m_markers.isEmpty())
        return;
    const FigureColours colours(palette);
    const QFontMetricsF metrics(m_fonts.ticks);
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setFont(m_fonts.ticks);
    const auto pixelOf = [this](const PlotMarker& marker) -> std::optional<double> {
        if (!isShowable(marker.x, logarithmicX()))
            return std::nullopt;
        const double x = toPixel({marker.x, 1.0}).x();
        return x < m_plotArea.left() - 0.5 || x > m_plotArea.right() + 0.5 ? std::nullopt : std::optional(x);
    };
    const auto colourOf = [&colours](const PlotMarker& marker) {
        return marker.colour >= 0 ? seriesColour(marker.colour, colours.dark) : colours.text;
    };
    for (int place = 0; place < m_markers.size(); ++place) {
        const PlotMarker& marker = m_markers[place];
        const std::optional<double> x = pixelOf(marker);
        if (!x)
            continue;
        const bool hasKeyboard = place == focused;
        painter.setPen(
            QPen(colourOf(marker), hasKeyboard ? 2.4 : 1.5, marker.draggable ? Qt::SolidLine : Qt::DashLine));
        painter.drawLine(QPointF(*x, m_plotArea.top()), QPointF(*x, m_plotArea.bottom()));
        if (!marker.draggable)
            continue;
        // A grip on the axis shows that it can be taken.
        const double bottom = m_plotArea.bottom();
        painter.setPen(QPen(hasKeyboard ? colours.accent : colours.background, hasKeyboard ? 2.0 : 1.0));
        painter.setBrush(colourOf(marker));
        painter.drawPolygon(QPolygonF{{*x, bottom - 9.0}, {*x - 6.5, bottom + 2.0}, {*x + 6.5, bottom + 2.0}});
    }
    // Tags over all lines; one that would cover another goes a row lower.
    QVector<QRectF> tags;
    for (int place = 0; place < m_markers.size(); ++place) {
        const PlotMarker& marker = m_markers[place];
        const std::optional<double> x = pixelOf(marker);
        if (!x || marker.label.isEmpty())
            continue;
        QRectF tag(*x + 4.0, m_plotArea.top() + 3.0, metrics.horizontalAdvance(marker.label) + 10.0,
                   metrics.height() + 4.0);
        if (tag.right() > m_plotArea.right())
            tag.moveRight(*x - 4.0);
        while (std::any_of(tags.begin(), tags.end(), [&tag](const QRectF& other) { return other.intersects(tag); }))
            tag.translate(0.0, tag.height() + 2.0);
        tags.append(tag);
        painter.setPen(QPen(place == focused ? colours.accent : colourOf(marker), place == focused ? 2.0 : 1.0));
        painter.setBrush(colours.panel);
        painter.drawRoundedRect(tag, 3.0, 3.0);
        painter.setPen(colours.text);
        painter.drawText(QPointF(tag.left() + 5.0, tag.top() + 2.0 + metrics.ascent()), marker.label);
    }
    painter.restore();
}

} // namespace rankwright::ui
