#include "ui/plots/figure_parts.h"

#include "ui/theme/theme.h"

#include <QFontMetricsF>
#include <QPainter>
#include <QPainterPath>
#include <QPolygonF>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rankwright::ui {

namespace {

constexpr double hintPadding = 7.0;
constexpr double hintDistance = 14.0;

QFont resized(QFont font, double factor)
{
    if (font.pointSizeF() > 0.0)
        font.setPointSizeF(font.pointSizeF() * factor);
    else
        font.setPixelSize(std::max(1, static_cast<int>(std::lround(font.pixelSize() * factor))));
    return font;
}

QPolygonF regularPolygon(const QPointF& centre, double radius, int corners, double startDegrees)
{
    QPolygonF polygon;
    for (int corner = 0; corner < corners; ++corner) {
        const double angle = (startDegrees + 360.0 * corner / corners) * std::numbers::pi / 180.0;
        polygon.append(centre + radius * QPointF(std::cos(angle), std::sin(angle)));
    }
    return polygon;
}

QPolygonF star(const QPointF& centre, double radius)
{
    const QPolygonF outer = regularPolygon(centre, radius, 5, -90.0);
    const QPolygonF inner = regularPolygon(centre, 0.45 * radius, 5, -54.0);
    QPolygonF polygon;
    for (int corner = 0; corner < 5; ++corner)
        polygon << outer[corner] << inner[corner];
    return polygon;
}

} // namespace

FigureColours::FigureColours(const QPalette& palette)
    : dark(isDark(palette))
    , background(palette.color(QPalette::Base))
    , text(palette.color(QPalette::Text))
    , quiet(mixed(background, text, 0.68))
    , grid(mixed(background, text, dark ? 0.15 : 0.12))
    , minorGrid(mixed(background, text, dark ? 0.08 : 0.06))
    , axis(mixed(background, text, 0.45))
    , accent(palette.color(QPalette::Highlight))
    , panel(mixed(background, text, dark ? 0.08 : 0.03))
    , panelBorder(mixed(background, text, 0.28))
{}

FigureFonts::FigureFonts(const QFont& font)
    : title(resized(font, 1.1))
    , text(font)
    , ticks(resized(font, 0.9))
{
    title.setBold(true);
}

void paintMarkerShape(QPainter& painter, MarkerShape shape, const QPointF& centre, double size, const QColor& colour)
{
    const double radius = 0.5 * size;
    const double arm = radius * 0.95;
    painter.setPen(QPen(colour, 1.0));
    painter.setBrush(colour);
    const auto stroke = [&](const QPointF& from, const QPointF& to) { painter.drawLine(centre + from, centre + to); };
    switch (shape) {
    case MarkerShape::Circle:
        painter.drawEllipse(centre, 0.88 * radius, 0.88 * radius);
        break;
    case MarkerShape::Square:
        painter.drawPolygon(regularPolygon(centre, 1.12 * radius, 4, 45.0));
        break;
    case MarkerShape::Diamond:
        painter.drawPolygon(regularPolygon(centre, 1.12 * radius, 4, 0.0));
        break;
    case MarkerShape::TriangleUp:
        painter.drawPolygon(regularPolygon(centre + QPointF(0.0, 0.2 * radius), 1.15 * radius, 3, -90.0));
        break;
    case MarkerShape::TriangleDown:
        painter.drawPolygon(regularPolygon(centre - QPointF(0.0, 0.2 * radius), 1.15 * radius, 3, 90.0));
        break;
    case MarkerShape::Plus:
        painter.setPen(QPen(colour, std::max(1.5, 0.28 * size)));
        stroke({-arm, 0.0}, {arm, 0.0});
        stroke({0.0, -arm}, {0.0, arm});
        break;
    case MarkerShape::Cross:
        painter.setPen(QPen(colour, std::max(1.5, 0.28 * size)));
        stroke({-0.75 * arm, -0.75 * arm}, {0.75 * arm, 0.75 * arm});
        stroke({-0.75 * arm, 0.75 * arm}, {0.75 * arm, -0.75 * arm});
        break;
    case MarkerShape::Star:
        painter.drawPolygon(star(centre, 1.2 * radius));
        break;
    }
}

QSizeF hintSize(const QFont& font, const QStringList& lines)
{
    const QFontMetricsF metrics(font);
    double width = 0.0;
    for (const QString& line : lines)
        width = std::max(width, metrics.horizontalAdvance(line));
    return {width + 2.0 * hintPadding, metrics.height() * static_cast<double>(lines.size()) + 2.0 * hintPadding};
}

QRectF paintHint(QPainter& painter, const FigureColours& colours, const QFont& font, const QStringList& lines,
                 const QPointF& anchor, const QRectF& bounds)
{
    if (lines.isEmpty())
        return {};
    const QFontMetricsF metrics(font);
    QRectF panel(anchor + QPointF(hintDistance, hintDistance), hintSize(font, lines));
    if (panel.right() > bounds.right())
        panel.moveRight(anchor.x() - hintDistance);
    if (panel.bottom() > bounds.bottom())
        panel.moveBottom(anchor.y() - hintDistance);
    panel.moveLeft(std::max(panel.left(), bounds.left()));
    panel.moveTop(std::max(panel.top(), bounds.top()));

    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colours.panelBorder, 1.0));
    painter.setBrush(colours.panel);
    painter.drawRoundedRect(panel, 4.0, 4.0);
    painter.setFont(font);
    painter.setPen(colours.text);
    double baseline = panel.top() + hintPadding + metrics.ascent();
    for (const QString& line : lines) {
        painter.drawText(QPointF(panel.left() + hintPadding, baseline), line);
        baseline += metrics.height();
    }
    painter.restore();
    return panel;
}

void paintEmptyText(QPainter& painter, const FigureColours& colours, const QFont& font, const QString& text,
                    const QRectF& area)
{
    painter.save();
    painter.setFont(font);
    painter.setPen(colours.quiet);
    painter.drawText(area.adjusted(16.0, 16.0, -16.0, -16.0), static_cast<int>(Qt::AlignCenter) | Qt::TextWordWrap,
                     text);
    painter.restore();
}

} // namespace rankwright::ui
