// Layout and painting of a HeatMap.
#include "ui/plots/axis_scale.h"
#include "ui/plots/heat_map.h"

#include <QCoreApplication>
#include <QFontMetricsF>
#include <QPainter>
#include <QScrollBar>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double margin = 10.0;
constexpr double gap = 6.0;
constexpr double smallestCell = 8.0;
constexpr double largestCellWidth = 96.0;
constexpr double largestCellHeight = 44.0;
constexpr double legendWidth = 14.0;

double widest(const QFontMetricsF& metrics, const QStringList& labels)
{
    double width = 0.0;
    for (const QString& label : labels)
        width = std::max(width, metrics.horizontalAdvance(label));
    return width;
}

} // namespace

HeatMap::Layout HeatMap::layOut(const QSizeF& size, bool scrolled) const
{
    const FigureFonts fonts(font());
    const QFontMetricsF ticks(fonts.ticks);
    const QFontMetricsF text(fonts.text);
    Layout layout;
    layout.size = size;
    double top = margin;
    if (!m_data.title.isEmpty()) {
        layout.title = QRectF(margin, top, size.width() - 2.0 * margin, QFontMetricsF(fonts.title).height());
        top = layout.title.bottom() + gap;
    }
    double left = margin + widest(ticks, m_data.rows) + gap;
    if (!m_data.rowTitle.isEmpty())
        left += text.height() + 2.0;
    // Bar, a gap, numbers such as -1.25x10^-4, title.
    const double legendRoom = 2.0 * gap + legendWidth + 4.0 + ticks.horizontalAdvance(u"-1.25\u00d710\u207b\u2074"_s) +
                              (m_data.valueTitle.isEmpty() ? 0.0 : text.height() + 2.0) + margin;
    const double width = std::max(smallestCell, size.width() - left - legendRoom);
    layout.cellWidth = std::clamp(width / std::max(1, columns()), smallestCell, largestCellWidth);

    const double labelWidth = widest(ticks, m_data.columns);
    layout.slantedColumns = labelWidth + 4.0 > layout.cellWidth;
    if (!m_data.columnTitle.isEmpty())
        top += text.height() + 2.0;
    top += (layout.slantedColumns ? labelWidth : ticks.height()) + 4.0;
    const double height = std::max(smallestCell, size.height() - top - margin);
    layout.cellHeight = std::clamp(height / std::max(1, rows()), smallestCell, largestCellHeight);

    const double shownWidth = std::min(width, layout.cellWidth * columns());
    const double shownHeight = std::min(height, layout.cellHeight * rows());
    layout.cells = QRectF(left, top, shownWidth, shownHeight);
    layout.legend =
        QRectF(layout.cells.right() + 2.0 * gap, top, legendWidth, std::max(60.0, std::min(shownHeight, 320.0)));
    if (scrolled)
        layout.offset = QPointF(horizontalScrollBar()->value(), verticalScrollBar()->value());
    return layout;
}

QRectF HeatMap::rectOf(const Layout& layout, int row, int column) const
{
    // Whole pixels, so that cells are sharp and do not overlap.
    const double x = layout.cells.left() - layout.offset.x();
    const double y = layout.cells.top() - layout.offset.y();
    const double left = std::floor(x + column * layout.cellWidth);
    const double top = std::floor(y + row * layout.cellHeight);
    return {left, top, std::floor(x + (column + 1) * layout.cellWidth) - left,
            std::floor(y + (row + 1) * layout.cellHeight) - top};
}

void HeatMap::paintAll(QPainter& painter, const FigureColours& colours, const Layout& layout) const
{
    painter.fillRect(QRectF(QPointF(), layout.size), colours.background);
    const FigureFonts fonts(font());
    painter.setFont(fonts.title);
    painter.setPen(colours.text);
    painter.drawText(layout.title, static_cast<int>(Qt::AlignLeft | Qt::AlignVCenter),
                     QFontMetricsF(fonts.title).elidedText(m_data.title, Qt::ElideRight, layout.title.width()));
    if (isEmpty()) {
        paintEmptyText(painter, colours, fonts.text, m_emptyText, QRectF(QPointF(), layout.size));
        return;
    }
    painter.save();
    painter.setClipRect(layout.cells.adjusted(-1.0, -1.0, 1.0, 1.0));
    const int firstRow = std::max(0, static_cast<int>(layout.offset.y() / layout.cellHeight));
    const int firstColumn = std::max(0, static_cast<int>(layout.offset.x() / layout.cellWidth));
    for (int row = firstRow; row < rows(); ++row) {
        if (rectOf(layout, row, 0).top() > layout.cells.bottom())
            break;
        for (int column = firstColumn; column < columns(); ++column) {
            if (rectOf(layout, row, column).left() > layout.cells.right())
                break;
            paintCell(painter, colours, layout, row, column);
        }
    }
    painter.restore();
    paintLabels(painter, colours, layout);
    paintLegend(painter, colours, layout);
}

void HeatMap::paintCell(QPainter& painter, const FigureColours& colours, const Layout& layout, int row,
                        int column) const
{
    const QRectF whole = rectOf(layout, row, column);
    const double seam = std::min(whole.width(), whole.height()) >= 10.0 ? 1.0 : 0.0;
    const QRectF area = whole.adjusted(0.0, 0.0, -seam, -seam);
    painter.fillRect(whole, colours.background);
    const double number = value(row, column);
    if (!isShown(number)) {
        painter.fillRect(area, mixed(colours.background, colours.text, 0.05));
        painter.fillRect(area, QBrush(mixed(colours.background, colours.text, 0.22), Qt::BDiagPattern));
        return;
    }
    const QColor colour = colourOf(number);
    painter.fillRect(area, colour);
    const QFont ticks = FigureFonts(font()).ticks;
    const QFontMetricsF metrics(ticks);
    if (area.height() < metrics.height() + 2.0 || area.width() < metrics.horizontalAdvance(u"0.000"_s) + 6.0)
        return;
    const QString text = formatValue(number, 3);
    if (metrics.horizontalAdvance(text) + 6.0 > area.width())
        return;
    painter.setFont(ticks);
    painter.setPen(contrastRatio(colour, Qt::white) >= contrastRatio(colour, QColor(20, 20, 20)) ? QColor(Qt::white)
                                                                                                 : QColor(20, 20, 20));
    painter.drawText(area, static_cast<int>(Qt::AlignCenter), text);
}

void HeatMap::paintLabels(QPainter& painter, const FigureColours& colours, const Layout& layout) const
{
    const FigureFonts fonts(font());
    const QFontMetricsF metrics(fonts.ticks);
    const QFontMetricsF text(fonts.text);
    painter.setFont(fonts.ticks);
    painter.setPen(colours.quiet);
    const int rowStep = std::max(1, static_cast<int>(std::ceil((metrics.height() - 1.0) / layout.cellHeight)));
    for (int row = 0; row < rows(); row += rowStep) {
        const double middle = rectOf(layout, row, 0).center().y();
        if (middle < layout.cells.top() || middle > layout.cells.bottom())
            continue;
        const QString& label = m_data.rows[row];
        painter.drawText(
            QPointF(layout.cells.left() - gap - metrics.horizontalAdvance(label), middle + 0.36 * metrics.ascent()),
            label);
    }
    const int columnStep = layout.slantedColumns
                               ? std::max(1, static_cast<int>(std::ceil((metrics.height() - 1.0) / layout.cellWidth)))
                               : 1;
    for (int column = 0; column < columns(); column += columnStep) {
        const double middle = rectOf(layout, 0, column).center().x();
        if (middle < layout.cells.left() || middle > layout.cells.right())
            continue;
        const QString& label = m_data.columns[column];
        if (layout.slantedColumns) {
            painter.save();
            painter.translate(middle + 0.36 * metrics.ascent(), layout.cells.top() - 4.0);
            painter.rotate(-90.0);
            painter.drawText(QPointF(0.0, 0.0), label);
            painter.restore();
        } else {
            painter.drawText(
                QPointF(middle - 0.5 * metrics.horizontalAdvance(label), layout.cells.top() - 4.0 - metrics.descent()),
                label);
        }
    }

    painter.setFont(fonts.text);
    painter.setPen(colours.text);
    if (!m_data.columnTitle.isEmpty()) {
        const double top = layout.title.isEmpty() ? margin : layout.title.bottom() + gap;
        const double width = text.horizontalAdvance(m_data.columnTitle);
        painter.drawText(QPointF(std::max(margin, layout.cells.center().x() - 0.5 * width), top + text.ascent()),
                         m_data.columnTitle);
    }
    if (!m_data.rowTitle.isEmpty()) {
        const double length = text.horizontalAdvance(m_data.rowTitle);
        painter.save();
        painter.translate(margin + text.ascent() - 2.0,
                          std::max(margin + length, layout.cells.center().y() + 0.5 * length));
        painter.rotate(-90.0);
        painter.drawText(QPointF(0.0, 0.0), m_data.rowTitle);
        painter.restore();
    }
}

void HeatMap::paintLegend(QPainter& painter, const FigureColours& colours, const Layout& layout) const
{
    const FigureFonts fonts(font());
    const QFontMetricsF metrics(fonts.ticks);
    const QFontMetricsF text(fonts.text);
    const QRectF bar = layout.legend;
    // One strip a pixel: the ramp is not straight in sRGB, as a gradient between few stops would be.
    const auto strips = static_cast<int>(std::ceil(bar.height()));
    for (int y = 0; y < strips; ++y) {
        const double part = 1.0 - (y + 0.5) / bar.height();
        painter.fillRect(QRectF(bar.left(), bar.top() + y, bar.width(), std::min(1.0, bar.height() - y)),
                         m_scale == HeatScale::Diverging ? divergingColour(2.0 * part - 1.0) : colourMap(part));
    }
    painter.setPen(QPen(colours.axis, 1.0));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(bar);

    const bool logarithmic = m_scale == HeatScale::Logarithmic;
    const AxisView view{toAxis(m_least, logarithmic), toAxis(m_greatest, logarithmic)};
    const int most = std::max(2, static_cast<int>(bar.height() / (2.2 * metrics.height())));
    const QVector<AxisTick> ticks = logarithmic ? logarithmicTicks(view, most) : linearTicks(view, most, false);
    painter.setFont(fonts.ticks);
    double widestLabel = 0.0;
    for (const AxisTick& tick : ticks) {
        if (tick.label.isEmpty())
            continue;
        const double y = bar.bottom() - (tick.position - view.lower) / view.length() * bar.height();
        painter.setPen(QPen(colours.axis, 1.0));
        painter.drawLine(QPointF(bar.right(), y), QPointF(bar.right() + 3.0, y));
        painter.setPen(colours.quiet);
        painter.drawText(QPointF(bar.right() + gap, y + 0.36 * metrics.ascent()), tick.label);
        widestLabel = std::max(widestLabel, metrics.horizontalAdvance(tick.label));
    }
    if (m_data.valueTitle.isEmpty())
        return;
    painter.setFont(fonts.text);
    painter.setPen(colours.text);
    const QString title = text.elidedText(m_data.valueTitle, Qt::ElideRight, layout.size.height() - 2.0 * margin);
    const double length = text.horizontalAdvance(title);
    painter.save();
    painter.translate(bar.right() + gap + widestLabel + gap + text.ascent(),
                      std::clamp(bar.center().y() + 0.5 * length, margin + length,
                                 std::max(margin + length, layout.size.height() - margin)));
    painter.rotate(-90.0);
    painter.drawText(QPointF(0.0, 0.0), title);
    painter.restore();
}

void HeatMap::paintFrame(QPainter& painter, const FigureColours& colours, const HeatCell& cell,
                         const QColor& colour) const
{
    // Two rings, so that the frame shows on every colour.
    const QRectF area = rectOf(m_layout, cell.first, cell.second).adjusted(0.0, 0.0, -1.0, -1.0);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(colours.background, 4.0));
    painter.drawRect(area);
    painter.setPen(QPen(colour, 2.0));
    painter.drawRect(area);
}

void HeatMap::paintFigure(QPainter& painter, const QPalette& palette) const
{
    painter.save();
    painter.setRenderHint(QPainter::TextAntialiasing);
    paintAll(painter, FigureColours(palette), layOut(QSizeF(figureSize()), false));
    painter.restore();
}

QSize HeatMap::figureSize() const
{
    const Layout layout = layOut(QSizeF(viewport()->size()), false);
    const double right = layout.size.width() - layout.cells.right();
    const double bottom = layout.size.height() - layout.cells.bottom();
    return {static_cast<int>(
                std::ceil(std::max(layout.size.width(), layout.cells.left() + layout.cellWidth * columns() + right))),
            static_cast<int>(
                std::ceil(std::max(layout.size.height(), layout.cells.top() + layout.cellHeight * rows() + bottom)))};
}

} // namespace rankwright::ui
