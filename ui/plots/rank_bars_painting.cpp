// How RankBars paints.
#include "ui/plots/axis_scale.h"
#include "ui/plots/rank_bars.h"

#include <QFontMetricsF>
#include <QPaintEvent>
#include <QPainter>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double margin = 10.0;
constexpr double gap = 6.0;
constexpr double swatch = 11.0;

} // namespace

void RankBars::paintEvent(QPaintEvent* event)
{
    const FigureColours colours(palette());
    QPainter painter(viewport());
    painter.setClipRegion(event->region());
    paintAll(painter, colours, QRectF(event->rect()));
    if (m_current >= 0 && hasFocus()) {
        painter.setClipRect(m_plotArea.adjusted(-2.0, -2.0, 2.0, 2.0));
        painter.setPen(QPen(colours.accent, 1.5));
        painter.setBrush(Qt::NoBrush);
        painter.drawRect(columnRect(m_current).adjusted(-1.5, -0.5, 1.5, 0.5));
        painter.setClipRegion(event->region());
    }
    if (m_hovered >= 0)
        paintHint(painter, colours, FigureFonts(font()).ticks, hintLines(m_hovered), m_pointer,
                  QRectF(viewport()->rect()));
}

void RankBars::paintFigure(QPainter& painter, const QPalette& palette) const
{
    painter.save();
    paintAll(painter, FigureColours(palette), QRectF(QPointF(), QSizeF(viewport()->size())));
    painter.restore();
}

void RankBars::paintAll(QPainter& painter, const FigureColours& colours, const QRectF& exposed) const
{
    const QRectF whole(QPointF(), QSizeF(viewport()->size()));
    painter.fillRect(whole, colours.background);
    if (exposed.top() < m_plotArea.top())
        paintHeader(painter, colours);
    if (m_bars.isEmpty()) {
        paintEmptyText(painter, colours, FigureFonts(font()).text, m_emptyText, whole);
        return;
    }
    paintAxes(painter, colours);
    painter.save();
    painter.setClipRect(m_plotArea.adjusted(0.0, -1.0, 0.0, 1.0), Qt::IntersectClip);
    const QColor ground = mixed(colours.background, colours.text, 0.05);
    const QColor selected = mixed(colours.background, colours.accent, colours.dark ? 0.45 : 0.28);
    for (int index = 0; index < m_bars.size(); ++index) {
        const QRectF column = columnRect(index);
        if (column.right() < exposed.left() - 3.0)
            continue;
        if (column.left() > exposed.right() + 3.0)
            break;
        painter.fillRect(column, m_bars[index].selected ? selected : ground);
        paintBar(painter, colours, index, seriesColour(m_bars[index].role, colours.dark));
    }
    painter.restore();
}

void RankBars::paintBar(QPainter& painter, const FigureColours& colours, int index, const QColor& roleColour) const
{
    const RankBar& bar = m_bars[index];
    const QRectF column = columnRect(index);
    const QRectF area = barRect(index);
    const double ghostTop = std::round(column.bottom() - heightOf(bar, std::max(0, bar.ghost)));
    const bool wide = column.width() >= 7.0;
    if (bar.ghost >= 0)
        paintGhost(painter, colours, QRectF(QPointF(column.left(), ghostTop), column.bottomRight()), wide);
    if (bar.locked) {
        painter.fillRect(area, mixed(colours.background, roleColour, 0.35));
        painter.fillRect(area, QBrush(roleColour, Qt::BDiagPattern));
        painter.fillRect(QRectF(area.left(), area.top(), area.width(), std::min(2.0, area.height())), roleColour);
    } else {
        painter.fillRect(area, bar.fixed ? mixed(colours.background, roleColour, 0.35) : roleColour);
    }
    // What lies on the bar is of the background's colour, what lies above it of the text's: seen on both.
    if (bar.ghost >= 0 && ghostTop > area.top())
        painter.fillRect(QRectF(column.left(), ghostTop, column.width(), 1.0), colours.background);
    if (bar.breakEven > 0) {
        const double y = std::round(column.bottom() - heightOf(bar, bar.breakEven));
        painter.fillRect(QRectF(column.left(), y - 1.0, column.width(), 2.0),
                         y > area.top() ? colours.background : colours.quiet);
    }
    if (bar.selected)
        painter.fillRect(QRectF(column.left(), column.bottom() - 3.0, column.width(), 3.0), colours.text);
    if (bar.locked && wide)
        paintLock(painter, colours, QPointF(column.center().x(), std::max(area.top() - 3.0, m_plotArea.top() + 11.0)));
}

void RankBars::paintGhost(QPainter& painter, const FigureColours& colours, const QRectF& area, bool outlined) const
{
    painter.fillRect(area, mixed(colours.background, colours.text, 0.2));
    const QColor edge = mixed(colours.background, colours.text, 0.5);
    if (outlined) {
        painter.setPen(QPen(edge, 1.0));
        painter.setBrush(Qt::NoBrush);
        painter.drawRect(area.adjusted(0.5, 0.5, -0.5, 0.0));
    } else {
        painter.fillRect(QRectF(area.left(), area.top(), area.width(), 1.0), edge);
    }
}

void RankBars::paintLock(QPainter& painter, const FigureColours& colours, const QPointF& bottomCentre) const
{
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colours.text, 1.2));
    painter.setBrush(Qt::NoBrush);
    painter.drawArc(QRectF(bottomCentre.x() - 2.2, bottomCentre.y() - 9.5, 4.4, 8.0), 0, 180 * 16);
    painter.fillRect(QRectF(bottomCentre.x() - 3.5, bottomCentre.y() - 5.5, 7.0, 5.5), colours.text);
    painter.restore();
}

void RankBars::paintAxes(QPainter& painter, const FigureColours& colours) const
{
    const FigureFonts fonts(font());
    const QFontMetricsF metrics(fonts.ticks);
    const QFontMetricsF text(fonts.text);
    painter.setFont(fonts.ticks);
    const AxisView view{0.0, m_relative ? 100.0 : m_largestFullRank};
    const int most = std::max(2, static_cast<int>(m_plotArea.height() / 36.0));
    for (const AxisTick& tick : linearTicks(view, most, !m_relative)) {
        const double y = std::floor(m_plotArea.bottom() - tick.position / view.upper * m_plotArea.height()) + 0.5;
        painter.setPen(QPen(colours.grid, 1.0));
        painter.drawLine(QPointF(m_plotArea.left(), y), QPointF(m_plotArea.right(), y));
        const QString label = m_relative ? tick.label + u" %"_s : tick.label;
        painter.setPen(colours.quiet);
        painter.drawText(
            QPointF(m_plotArea.left() - gap - metrics.horizontalAdvance(label), y + 0.36 * metrics.ascent()), label);
    }

    // Under each block its number, every second, fifth, tenth ... where they would touch.
    QVector<QPair<int, double>> blocks;
    for (qsizetype first = 0; first < m_bars.size();) {
        qsizetype last = first;
        while (last + 1 < m_bars.size() && m_bars[last + 1].block == m_bars[first].block)
            ++last;
        const double left = columnRect(static_cast<int>(first)).left();
        blocks.append({m_bars[first].block, 0.5 * (left + columnRect(static_cast<int>(last)).right())});
        first = last + 1;
    }
    const double spacing = blocks.size() > 1
                               ? (blocks.back().second - blocks.front().second) / static_cast<double>(blocks.size() - 1)
                               : 1e9;
    const double needed = metrics.horizontalAdvance(QString::number(blocks.back().first)) + 6.0;
    int step = 1;
    for (const int wider : {2, 5, 10, 20, 50, 100}) {
        if (step * spacing < needed)
            step = wider;
    }
    for (const auto& [block, middle] : std::as_const(blocks)) {
        if (block % step != 0 || middle < m_plotArea.left() || middle > m_plotArea.right())
            continue;
        const QString label = QString::number(block);
        painter.drawText(
            QPointF(middle - 0.5 * metrics.horizontalAdvance(label), m_plotArea.bottom() + 4.0 + metrics.ascent()),
            label);
    }
    painter.setPen(QPen(colours.axis, 1.0));
    painter.drawLine(QPointF(m_plotArea.left(), m_plotArea.bottom() + 0.5),
                     QPointF(m_plotArea.right(), m_plotArea.bottom() + 0.5));

    painter.setFont(fonts.text);
    painter.setPen(colours.text);
    const QString xTitle = tr("Block");
    painter.drawText(QPointF(m_plotArea.center().x() - 0.5 * text.horizontalAdvance(xTitle),
                             m_plotArea.bottom() + gap + metrics.height() + text.ascent()),
                     xTitle);
    const QString yTitle = m_relative ? tr("Rank / full rank") : tr("Rank");
    const double length = text.horizontalAdvance(yTitle);
    painter.save();
    painter.translate(margin + text.ascent() - 3.0, m_plotArea.center().y() + 0.5 * length);
    painter.rotate(-90.0);
    painter.drawText(QPointF(0.0, 0.0), yTitle);
    painter.restore();
}

void RankBars::paintHeader(QPainter& painter, const FigureColours& colours) const
{
    const FigureFonts fonts(font());
    const QFontMetricsF metrics(fonts.ticks);
    if (!m_title.isEmpty()) {
        painter.setFont(fonts.title);
        painter.setPen(colours.text);
        painter.drawText(m_titleArea, static_cast<int>(Qt::AlignLeft | Qt::AlignVCenter),
                         QFontMetricsF(fonts.title).elidedText(m_title, Qt::ElideRight, m_titleArea.width()));
    }
    painter.setFont(fonts.ticks);
    for (const LegendEntry& entry : m_legend) {
        const QRectF sample(entry.area.left(), std::round(entry.area.center().y() - 0.5 * swatch), swatch, swatch);
        if (entry.role >= 0) {
            painter.fillRect(sample, seriesColour(entry.role, colours.dark));
        } else if (entry.role == -1) {
            painter.fillRect(QRectF(sample.left(), std::round(sample.center().y()) - 1.0, swatch, 2.0), colours.quiet);
        } else {
            paintGhost(painter, colours, sample, true);
        }
        painter.setPen(colours.text);
        painter.drawText(QPointF(sample.right() + 5.0, entry.area.top() + 1.5 + metrics.ascent()), entry.text);
    }
}

} // namespace rankwright::ui
