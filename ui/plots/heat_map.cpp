#include "ui/plots/heat_map.h"

#include "ui/plots/axis_scale.h"

#include <QEvent>
#include <QPainter>
#include <QScrollBar>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

HeatMap::HeatMap(QWidget* parent)
    : QAbstractScrollArea(parent)
{
    setFocusPolicy(Qt::StrongFocus);
    setFrameShape(QFrame::NoFrame);
    viewport()->setMouseTracking(true);
    viewport()->setAttribute(Qt::WA_OpaquePaintEvent);
    setContextMenuPolicy(Qt::ActionsContextMenu);
    m_actions = new FigureActions(
        this,
        {.paint = [this](QPainter& painter, const QPalette& colours) { paintFigure(painter, colours); },
         .size = [this] { return figureSize(); },
         .title = [this] { return m_data.title; },
         .csv = [this](bool /*visible*/) -> std::function<QByteArray()> { return [table = csv()] { return table; }; },
         .hasVisibleRange = false});
    mapChanged();
}

HeatMap::~HeatMap() = default;

void HeatMap::setData(const HeatMapData& data)
{
    m_data = data;
    m_data.values.resize(static_cast<qsizetype>(rows()) * columns(), std::numeric_limits<double>::quiet_NaN());
    const auto outside = [this](const HeatCell& cell) { return cell.first >= rows() || cell.second >= columns(); };
    m_marked.removeIf(outside);
    if (outside(m_current))
        m_current = {-1, -1};
    m_hovered = {-1, -1};
    updateEnds();
    mapChanged();
    describe();
}

void HeatMap::setScale(HeatScale scale)
{
    if (scale == m_scale)
        return;
    m_scale = scale;
    updateEnds();
    mapChanged();
}

void HeatMap::setEmptyText(const QString& text)
{
    m_emptyText = text;
    mapChanged();
}

bool HeatMap::isShown(double value) const
{
    return isShowable(value, m_scale == HeatScale::Logarithmic);
}

void HeatMap::updateEnds()
{
    m_least = std::numeric_limits<double>::infinity();
    m_greatest = -m_least;
    for (const double number : std::as_const(m_data.values)) {
        if (!isShown(number))
            continue;
        m_least = std::min(m_least, number);
        m_greatest = std::max(m_greatest, number);
    }
    if (m_data.least && isShown(*m_data.least))
        m_least = *m_data.least;
    if (m_data.greatest && isShown(*m_data.greatest))
        m_greatest = *m_data.greatest;
    if (m_least > m_greatest) {
        m_least = m_scale == HeatScale::Logarithmic ? 0.1 : 0.0;
        m_greatest = 1.0;
    }
    if (m_scale == HeatScale::Diverging) {
        m_greatest = std::max(std::abs(m_least), std::abs(m_greatest));
        m_least = -m_greatest;
    }
    if (m_least == m_greatest) {
        // One value only: in the middle of some range.
        if (m_scale == HeatScale::Logarithmic) {
            m_least /= 2.0;
            m_greatest *= 2.0;
        } else {
            const double room = m_greatest == 0.0 ? 1.0 : 0.5 * std::abs(m_greatest);
            m_least -= room;
            m_greatest += room;
        }
    }
}

double HeatMap::share(double value) const
{
    if (m_scale == HeatScale::Diverging)
        return value / m_greatest;
    const bool logarithmic = m_scale == HeatScale::Logarithmic;
    const double lower = toAxis(m_least, logarithmic);
    return (toAxis(value, logarithmic) - lower) / (toAxis(m_greatest, logarithmic) - lower);
}

QColor HeatMap::colourOf(double value) const
{
    return m_scale == HeatScale::Diverging ? divergingColour(share(value)) : colourMap(share(value));
}

QColor HeatMap::cellColour(int row, int column) const
{
    const double number = value(row, column);
    return isShown(number) ? colourOf(number) : QColor();
}

void HeatMap::updateCell(int row, int column, double number)
{
    if (row < 0 || row >= rows() || column < 0 || column >= columns())
        return;
    m_data.values[static_cast<qsizetype>(row) * columns() + column] = number;
    const double least = m_least;
    const double greatest = m_greatest;
    updateEnds();
    if (m_least != least || m_greatest != greatest) {
        mapChanged();
        return;
    }
    if (!m_pictureStale && !m_picture.isNull()) {
        QPainter painter(&m_picture);
        painter.setClipRect(m_layout.cells.adjusted(-1.0, -1.0, 1.0, 1.0));
        paintCell(painter, FigureColours(palette()), m_layout, row, column);
    }
    viewport()->update(cellRect(row, column).toAlignedRect());
}

void HeatMap::setMarkedCells(const QVector<HeatCell>& cells)
{
    m_marked = cells;
    m_marked.removeIf([this](const HeatCell& cell) {
        return cell.first < 0 || cell.second < 0 || cell.first >= rows() || cell.second >= columns();
    });
    viewport()->update();
}

void HeatMap::setCurrentCell(int row, int column)
{
    const bool inside = row >= 0 && column >= 0 && row < rows() && column < columns();
    m_current = inside ? HeatCell(row, column) : HeatCell(-1, -1);
    describe();
    viewport()->update();
}

HeatCell HeatMap::cellAt(const QPointF& position) const
{
    if (isEmpty() || !m_layout.cells.contains(position))
        return {-1, -1};
    const QPointF inside = position - m_layout.cells.topLeft() + m_layout.offset;
    return {std::clamp(static_cast<int>(inside.y() / m_layout.cellHeight), 0, rows() - 1),
            std::clamp(static_cast<int>(inside.x() / m_layout.cellWidth), 0, columns() - 1)};
}

QRectF HeatMap::cellRect(int row, int column) const
{
    return rectOf(m_layout, row, column);
}

void HeatMap::mapChanged()
{
    updateScrollBars();
    m_pictureStale = true;
    viewport()->update();
}

void HeatMap::updateScrollBars()
{
    m_layout = layOut(QSizeF(viewport()->size()), true);
    const auto fit = [](QScrollBar* bar, double whole, double shown, double step) {
        bar->setRange(0, std::max(0, static_cast<int>(std::ceil(whole - shown))));
        bar->setPageStep(std::max(1, static_cast<int>(shown)));
        bar->setSingleStep(std::max(1, static_cast<int>(step)));
    };
    fit(verticalScrollBar(), m_layout.cellHeight * rows(), m_layout.cells.height(), 3.0 * m_layout.cellHeight);
    fit(horizontalScrollBar(), m_layout.cellWidth * columns(), m_layout.cells.width(), 3.0 * m_layout.cellWidth);
    m_layout = layOut(QSizeF(viewport()->size()), true);
}

void HeatMap::describe()
{
    setAccessibleName(m_data.title.isEmpty() ? tr("Heat map") : m_data.title);
    if (m_current.first >= 0) {
        const double number = value(m_current.first, m_current.second);
        setAccessibleDescription(u"%1 %2, %3 %4: %5"_s.arg(m_data.rowTitle, m_data.rows[m_current.first],
                                                           m_data.columnTitle, m_data.columns[m_current.second],
                                                           std::isnan(number) ? tr("no value") : formatValue(number)));
        return;
    }
    setAccessibleDescription(tr("%1 rows, %2 columns, %3 from %4 to %5")
                                 .arg(QString::number(rows()), QString::number(columns()), m_data.valueTitle,
                                      formatValue(m_least), formatValue(m_greatest)));
}

QByteArray HeatMap::csv() const
{
    const auto named = [](const QString& title, const QString& otherwise) {
        return title.isEmpty() ? otherwise : title;
    };
    QByteArray table = csvLine({named(m_data.rowTitle, u"row"_s), named(m_data.columnTitle, u"column"_s),
                                named(m_data.valueTitle, u"value"_s)});
    for (int row = 0; row < rows(); ++row) {
        for (int column = 0; column < columns(); ++column)
            table += csvLine({m_data.rows[row], m_data.columns[column], value(row, column)});
    }
    return table;
}

void HeatMap::paintEvent(QPaintEvent* /*event*/)
{
    const double ratio = devicePixelRatioF();
    const QSize pixels = (QSizeF(viewport()->size()) * ratio).toSize();
    const FigureColours colours(palette());
    if (m_pictureStale || m_picture.size() != pixels) {
        if (m_picture.size() != pixels)
            m_picture = QPixmap(pixels);
        m_picture.setDevicePixelRatio(ratio);
        QPainter painter(&m_picture);
        paintAll(painter, colours, m_layout);
        m_pictureStale = false;
    }
    QPainter painter(viewport());
    painter.drawPixmap(0, 0, m_picture);
    if (isEmpty())
        return;
    painter.setClipRect(m_layout.cells.adjusted(-2.0, -2.0, 2.0, 2.0));
    for (const HeatCell& cell : std::as_const(m_marked))
        paintFrame(painter, colours, cell, colours.text);
    if (m_current.first >= 0 && hasFocus())
        paintFrame(painter, colours, m_current, colours.accent);
    painter.setClipping(false);
    if (m_hovered.first < 0)
        return;
    const double number = value(m_hovered.first, m_hovered.second);
    const auto named = [](const QString& title, const QString& label) {
        return title.isEmpty() ? label : u"%1 %2"_s.arg(title, label);
    };
    const QStringList lines{named(m_data.rowTitle, m_data.rows[m_hovered.first]) + u" \u00b7 "_s +
                                named(m_data.columnTitle, m_data.columns[m_hovered.second]),
                            named(m_data.valueTitle.isEmpty() ? QString() : m_data.valueTitle + u':',
                                  std::isnan(number) ? tr("no value") : formatValue(number))};
    paintHint(painter, colours, FigureFonts(font()).ticks, lines, m_pointer, QRectF(viewport()->rect()));
}

void HeatMap::resizeEvent(QResizeEvent* event)
{
    QAbstractScrollArea::resizeEvent(event);
    mapChanged();
}

void HeatMap::changeEvent(QEvent* event)
{
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange ||
        event->type() == QEvent::StyleChange)
        mapChanged();
}

void HeatMap::scrollContentsBy(int /*dx*/, int /*dy*/)
{
    m_layout = layOut(QSizeF(viewport()->size()), true);
    m_pictureStale = true;
    viewport()->update();
}

QSize HeatMap::sizeHint() const
{
    return {560, 480};
}

QSize HeatMap::minimumSizeHint() const
{
    return {260, 180};
}

} // namespace rankwright::ui
