#include "ui/plots/plot_figure.h"

#include <QChart>
#include <QCoreApplication>
#include <QFontMetricsF>
#include <QGraphicsLayout>
#include <QGuiApplication>
#include <QLegend>
#include <QLineSeries>
#include <QValueAxis>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double tickSpacingX = 78.0;
constexpr double tickSpacingY = 40.0;
constexpr int mostTicks = 12;
/// How far, in pixels, a drawn line may pass by a point.
constexpr double lineTolerance = 0.15;

AxisView emptyView()
{
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return {infinity, -infinity};
}

/// With `share` of the length added on both sides, and some length in any case.
AxisView padded(AxisView view, double share, bool logarithmic)
{
    double room = share * view.length();
    if (!(view.length() > 0.0))
        room = logarithmic ? 0.5 : std::max(0.5 * std::abs(view.lower), 1e-12);
    if (!logarithmic && view.length() == 0.0 && view.lower == 0.0)
        room = 1.0;
    return {view.lower - room, view.upper + room};
}

void applyBounds(AxisView& view, const PlotAxis& axis)
{
    if (axis.min && isShowable(*axis.min, axis.logarithmic))
        view.lower = toAxis(*axis.min, axis.logarithmic);
    if (axis.max && isShowable(*axis.max, axis.logarithmic))
        view.upper = toAxis(*axis.max, axis.logarithmic);
    if (!(view.length() > 0.0))
        view = padded({view.lower, view.lower}, 0.0, axis.logarithmic);
}

QVector<AxisTick> ticksOf(const AxisView& view, const PlotAxis& axis, double pixels, double spacing)
{
    const int most = std::clamp(static_cast<int>(pixels / spacing), 2, mostTicks);
    return axis.logarithmic ? logarithmicTicks(view, most) : linearTicks(view, most, axis.integer);
}

} // namespace

PlotFigure::PlotFigure()
    : m_fonts(QGuiApplication::font())
{
    m_chart = new QChart;
    m_chart->setMargins({});
    m_chart->layout()->setContentsMargins(0.0, 0.0, 0.0, 0.0);
    m_chart->legend()->hide();
    m_chart->setBackgroundVisible(false);
    m_chart->setPlotAreaBackgroundVisible(false);
    m_scene.addItem(m_chart);
    m_xAxis = new QValueAxis(m_chart);
    m_yAxis = new QValueAxis(m_chart);
    m_chart->addAxis(m_xAxis, Qt::AlignBottom);
    m_chart->addAxis(m_yAxis, Qt::AlignLeft);
    m_xAxis->setVisible(false);
    m_yAxis->setVisible(false);
}

PlotFigure::~PlotFigure() = default;

void PlotFigure::setData(const PlotData& data)
{
    m_data = data;
    m_curves.clear();
    m_curves.reserve(data.series.size());
    for (const PlotSeries& series : data.series)
        m_curves.append(Curve(series.points));
    updateFull();
}

void PlotFigure::setLogarithmic(bool x, bool y)
{
    const AxisView oldX = m_xView;
    const AxisView oldY = m_yView;
    const bool changedX = x != m_data.x.logarithmic;
    const bool changedY = y != m_data.y.logarithmic;
    m_data.x.logarithmic = x;
    m_data.y.logarithmic = y;
    updateFull();
    setView(changedX ? m_xFull : oldX, changedY ? m_yFull : oldY);
}

void PlotFigure::updateFull()
{
    AxisView x = emptyView();
    AxisView y = emptyView();
    bool any = false;
    for (const Curve& curve : std::as_const(m_curves))
        any = curve.extend(x, y, logarithmicX(), logarithmicY()) || any;
    for (const PlotSeries& series : std::as_const(m_data.series)) {
        QVector<QPointF> ends;
        for (const QLineF& bar : series.bars)
            ends << bar.p1() << bar.p2();
        Curve(ends).extend(x, y, logarithmicX(), logarithmicY());
    }
    m_empty = !any;
    if (m_empty) {
        x = y = AxisView{};
    } else {
        const bool onlyPoints =
            std::none_of(m_data.series.begin(), m_data.series.end(), [](const PlotSeries& s) { return s.line; });
        x = padded(x, onlyPoints ? 0.05 : 0.01, logarithmicX());
        y = padded(y, 0.05, logarithmicY());
        applyBounds(x, m_data.x);
        applyBounds(y, m_data.y);
    }
    m_xFull = m_xView = x;
    m_yFull = m_yView = y;
    m_curvesStale = true;
    updateNote();
    layOut();
}

void PlotFigure::setView(const AxisView& x, const AxisView& y)
{
    m_xView = clamped(x, m_xFull);
    m_yView = clamped(y, m_yFull);
    m_curvesStale = true;
    layOut();
}

void PlotFigure::setSize(const QSizeF& size, const QFont& font)
{
    m_size = size;
    m_fonts = FigureFonts(font);
    m_curvesStale = true;
    layOut();
}

QPointF PlotFigure::toPixel(const QPointF& value) const
{
    const double x = (toAxis(value.x(), logarithmicX()) - m_xView.lower) / m_xView.length();
    const double y = (toAxis(value.y(), logarithmicY()) - m_yView.lower) / m_yView.length();
    return {m_plotArea.left() + x * m_plotArea.width(), m_plotArea.bottom() - y * m_plotArea.height()};
}

QPointF PlotFigure::toValue(const QPointF& pixel) const
{
    const double x = m_xView.lower + (pixel.x() - m_plotArea.left()) / m_plotArea.width() * m_xView.length();
    const double y = m_yView.lower + (m_plotArea.bottom() - pixel.y()) / m_plotArea.height() * m_yView.length();
    return {fromAxis(x, logarithmicX()), fromAxis(y, logarithmicY())};
}

int PlotFigure::colourIndex(int series) const
{
    const int colour = m_data.series[series].colour;
    return colour >= 0 ? colour : series;
}

QColor PlotFigure::seriesColourOf(int series, bool dark) const
{
    return seriesColour(colourIndex(series), dark);
}

QPen PlotFigure::penOf(int series, bool dark) const
{
    QPen pen(seriesColourOf(series, dark), 1.6);
    pen.setStyle(m_data.series[series].dashed ? Qt::DashLine : seriesStyle(colourIndex(series)).pen);
    pen.setJoinStyle(Qt::RoundJoin);
    return pen;
}

void PlotFigure::updateNote()
{
    int notPositive = 0;
    int notFinite = 0;
    for (const Curve& curve : std::as_const(m_curves)) {
        notPositive += curve.countNotPositive(logarithmicX(), logarithmicY());
        notFinite += curve.countNotFinite();
    }
    QStringList parts;
    if (notPositive > 0)
        parts
            << (notPositive == 1
                    ? QCoreApplication::translate("PlotFigure", "1 value at or below 0 not shown")
                    : QCoreApplication::translate("PlotFigure", "%1 values at or below 0 not shown").arg(notPositive));
    if (notFinite > 0)
        parts << (notFinite == 1 ? QCoreApplication::translate("PlotFigure", "1 value not finite")
                                 : QCoreApplication::translate("PlotFigure", "%1 values not finite").arg(notFinite));
    m_note = parts.join(u" \u00b7 "_s);
}

double PlotFigure::layOutLegend(double top, double left, double width)
{
    m_legend.clear();
    const bool wanted = m_data.series.size() > 1 || (m_data.series.size() == 1 && !m_data.series[0].name.isEmpty());
    if (!wanted)
        return top;
    const QFontMetricsF metrics(m_fonts.ticks);
    const double rowHeight = metrics.height() + 3.0;
    // A third of the height is for the legend at most; the crosshair names the rest.
    const int rows = std::max(1, static_cast<int>(m_size.height() / 3.0 / rowHeight));
    double x = left;
    int row = 0;
    for (int series = 0; series < m_data.series.size(); ++series) {
        QString text = m_data.series[series].name;
        double needed = sampleWidth + gap + metrics.horizontalAdvance(text);
        if (needed > width) {
            text = metrics.elidedText(text, Qt::ElideMiddle, width - sampleWidth - gap);
            needed = sampleWidth + gap + metrics.horizontalAdvance(text);
        }
        if (x > left && x + needed > left + width) {
            x = left;
            ++row;
        }
        if (row == rows) {
            LegendEntry& last = m_legend.back();
            last.series = -1;
            last.text = QCoreApplication::translate("PlotFigure", "and %1 more").arg(m_data.series.size() - series + 1);
            --row;
            break;
        }
        m_legend.append({series, text, QRectF(x, top + row * rowHeight, needed, rowHeight)});
        x += needed + 2.5 * gap;
    }
    return top + (row + 1) * rowHeight;
}

void PlotFigure::layOut()
{
    const QFontMetricsF tickMetrics(m_fonts.ticks);
    const QFontMetricsF textMetrics(m_fonts.text);
    double top = margin;
    m_titleArea = {};
    if (!m_data.title.isEmpty()) {
        const QFontMetricsF titleMetrics(m_fonts.title);
        const QRectF room(margin, top, std::max(10.0, m_size.width() - 2.0 * margin), 2.2 * titleMetrics.height());
        m_titleArea = titleMetrics.boundingRect(room, Qt::AlignLeft | Qt::TextWordWrap, m_data.title);
        m_titleArea.setWidth(room.width());
        m_titleArea.setHeight(std::min(m_titleArea.height(), room.height()));
        top = m_titleArea.bottom() + gap;
    }
    top = layOutLegend(top, margin, m_size.width() - 2.0 * margin) + gap;
    // Beside the plot where it fits there, else in a line of its own above it.
    m_yTitleArea = {};
    const bool beside = textMetrics.horizontalAdvance(m_data.y.title) <= m_size.height() - margin - top;
    if (!m_data.y.title.isEmpty() && !beside) {
        m_yTitleArea = QRectF(margin, top, std::max(10.0, m_size.width() - 2.0 * margin), textMetrics.height());
        top = m_yTitleArea.bottom() + gap;
    }

    double bottom = m_size.height() - margin;
    if (!m_note.isEmpty())
        bottom -= tickMetrics.height() + 2.0;
    if (!m_data.x.title.isEmpty())
        bottom -= textMetrics.height() + 2.0;
    bottom -= tickMetrics.height() + gap;
    const double height = std::max(20.0, bottom - top);

    m_yTicks = ticksOf(m_yView, m_data.y, height, tickSpacingY);
    double labelWidth = 0.0;
    for (const AxisTick& tick : std::as_const(m_yTicks))
        labelWidth = std::max(labelWidth, tickMetrics.horizontalAdvance(tick.label));
    // In steps, so that the area does not tremble while the view is moved.
    labelWidth = 8.0 * std::ceil(labelWidth / 8.0);
    double left = margin + labelWidth + gap;
    if (!m_data.y.title.isEmpty() && beside)
        left += textMetrics.height() + 4.0;
    const double right = m_size.width() - margin - 12.0;
    m_plotArea = QRectF(left, top, std::max(20.0, right - left), height);
    m_xTicks = ticksOf(m_xView, m_data.x, m_plotArea.width(), tickSpacingX);
}

void PlotFigure::updateCurves(bool dark)
{
    for (int series = 0; series < m_data.series.size(); ++series) {
        if (series == m_lines.size()) {
            auto* line = new QLineSeries(m_chart);
            m_chart->addSeries(line);
            line->attachAxis(m_xAxis);
            line->attachAxis(m_yAxis);
            m_lines.append(line);
        }
        m_lines[series]->setPen(penOf(series, dark));
    }
    if (!m_curvesStale)
        return;
    m_chart->resize(m_size);
    m_chart->setPlotArea(m_plotArea);
    m_chart->layout()->activate();
    // Empty while the axes move: else every curve is mapped once more for each bound.
    for (QLineSeries* line : std::as_const(m_lines))
        line->replace(QList<QPointF>());
    m_xAxis->setRange(m_xView.lower, m_xView.upper);
    m_yAxis->setRange(m_yView.lower, m_yView.upper);
    const int columns = std::max(1, static_cast<int>(m_plotArea.width()));
    const double tolerance = lineTolerance / m_plotArea.height() * m_yView.length();
    for (int series = 0; series < m_data.series.size(); ++series) {
        if (m_data.series[series].line)
            m_lines[series]->replace(
                straightened(m_curves[series].thinned(m_xView, logarithmicX(), logarithmicY(), columns), tolerance));
    }
    m_curvesStale = false;
}

} // namespace rankwright::ui
