#include "ui/plots/plot_widget.h"

#include "ui/plots/plot_table.h"
#include "ui/theme/icons.h"

#include <QAction>
#include <QEvent>
#include <QFontMetricsF>
#include <QPainter>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr qsizetype mostReadings = 14;
/// Before the values in the panel, where the sample of the curve is drawn.
const auto sampleRoom = u"      "_s;

} // namespace

PlotWidget::PlotWidget(QWidget* parent)
    : QWidget(parent)
{
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAttribute(Qt::WA_OpaquePaintEvent);
    setContextMenuPolicy(Qt::ActionsContextMenu);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    createActions();
    figureChanged();
}

PlotWidget::~PlotWidget() = default;

void PlotWidget::createActions()
{
    m_logarithmicXAction = new QAction(tr("Logarithmic &x axis"), this);
    m_logarithmicXAction->setCheckable(true);
    connect(m_logarithmicXAction, &QAction::triggered, this, [this](bool on) { setLogarithmic(on, logarithmicY()); });
    addViewAction(m_logarithmicXAction, u"Shift+L"_s, tr("Show the horizontal axis on a logarithmic scale"));

    m_logarithmicYAction = new QAction(tr("Logarithmic &y axis"), this);
    m_logarithmicYAction->setCheckable(true);
    connect(m_logarithmicYAction, &QAction::triggered, this, [this](bool on) { setLogarithmic(logarithmicX(), on); });
    addViewAction(m_logarithmicYAction, u"L"_s, tr("Show the vertical axis on a logarithmic scale"));

    auto* reset = new QAction(icon(u"reset-zoom"_s), tr("&Reset view"), this);
    connect(reset, &QAction::triggered, this, &PlotWidget::resetView);
    addViewAction(reset, u"0"_s, tr("Show all data"));

    auto* separator = new QAction(this);
    separator->setSeparator(true);
    addAction(separator);
    m_actions = new FigureActions(
        this, {.paint = [this](QPainter& painter, const QPalette& colours) { paintFigure(painter, colours); },
               .size = [this] { return size(); },
               .title = [this] { return data().title; },
               .csv = [this](bool visible) -> std::function<QByteArray()> {
                   const std::optional<PlotRange> range = visible ? std::optional(visibleRange()) : std::nullopt;
                   return [data = data(), range] { return plotTable(data, range); };
               },
               .hasVisibleRange = true});
}

void PlotWidget::addViewAction(QAction* action, const QString& shortcut, const QString& tip)
{
    action->setShortcut(QKeySequence(shortcut));
    action->setShortcutContext(Qt::WidgetShortcut);
    action->setStatusTip(tip);
    action->setToolTip(tip);
    addAction(action);
}

void PlotWidget::setData(const PlotData& data, View view)
{
    const AxisView x = m_figure.xView();
    const AxisView y = m_figure.yView();
    const bool whole = x == m_figure.xFull() && y == m_figure.yFull();
    const bool wasEmpty = m_figure.isEmpty();
    PlotData shown = data;
    if (view == View::Keep && !wasEmpty) {
        shown.x.logarithmic = logarithmicX();
        shown.y.logarithmic = logarithmicY();
    }
    m_figure.setData(shown);
    if (view == View::Keep && !whole && !wasEmpty)
        m_figure.setView(x, y);
    m_hovered = {-1, -1};
    figureChanged();
    describe();
}

void PlotWidget::setEmptyText(const QString& text)
{
    m_figure.setEmptyText(text);
    figureChanged();
    describe();
}

void PlotWidget::figureChanged()
{
    m_logarithmicXAction->setChecked(logarithmicX());
    m_logarithmicYAction->setChecked(logarithmicY());
    m_pictureStale = true;
    update();
}

void PlotWidget::describe()
{
    const PlotData& shown = data();
    setAccessibleName(shown.title.isEmpty() ? tr("Plot") : shown.title);
    if (m_figure.isEmpty()) {
        setAccessibleDescription(tr("Empty plot"));
        return;
    }
    QStringList names;
    for (const PlotSeries& series : shown.series)
        names << tr("%1 (%2 points)").arg(series.name, QString::number(series.points.size()));
    setAccessibleDescription(
        tr("%1 against %2. %3: %4").arg(shown.y.title, shown.x.title, tr("Curves"), names.join(u", "_s)));
}

void PlotWidget::setMarkers(const QVector<PlotMarker>& markers)
{
    m_figure.setMarkers(markers);
    if (m_focusedMarker >= markers.size() || (m_focusedMarker >= 0 && !markers[m_focusedMarker].draggable))
        m_focusedMarker = -1;
    if (m_draggedMarker >= markers.size()) {
        m_draggedMarker = -1;
        m_drag = Drag::None;
    }
    update();
}

void PlotWidget::moveMarker(int id, double x)
{
    for (PlotMarker& marker : m_figure.markers()) {
        if (marker.id == id)
            marker.x = x;
    }
    update();
}

void PlotWidget::setLogarithmic(bool x, bool y)
{
    if (x == logarithmicX() && y == logarithmicY())
        return;
    m_figure.setLogarithmic(x, y);
    figureChanged();
    emit logarithmicChanged(x, y);
}

PlotRange PlotWidget::visibleRange() const
{
    const AxisView& x = m_figure.xView();
    const AxisView& y = m_figure.yView();
    return {fromAxis(x.lower, logarithmicX()), fromAxis(x.upper, logarithmicX()), fromAxis(y.lower, logarithmicY()),
            fromAxis(y.upper, logarithmicY())};
}

void PlotWidget::setVisibleRange(const PlotRange& range)
{
    const auto view = [](double lower, double upper, bool logarithmic, const AxisView& full) {
        if (!isShowable(lower, logarithmic) || !isShowable(upper, logarithmic))
            return full;
        return AxisView{toAxis(lower, logarithmic), toAxis(upper, logarithmic)};
    };
    setView(view(range.xLower, range.xUpper, logarithmicX(), m_figure.xFull()),
            view(range.yLower, range.yUpper, logarithmicY(), m_figure.yFull()));
}

void PlotWidget::resetView()
{
    setView(m_figure.xFull(), m_figure.yFull());
}

void PlotWidget::setView(const AxisView& x, const AxisView& y)
{
    if (m_figure.isEmpty() || (x == m_figure.xView() && y == m_figure.yView()))
        return;
    m_figure.setView(x, y);
    figureChanged();
    emit viewChanged();
}

QVector<PlotReading> PlotWidget::readingsAt(double x) const
{
    QVector<PlotReading> readings;
    const QVector<Curve>& curves = m_figure.curves();
    for (int series = 0; series < curves.size(); ++series) {
        const qsizetype position = curves[series].nearest(x);
        if (position >= 0)
            readings.append({series, curves[series].sourceIndex(position), curves[series].point(position)});
    }
    return readings;
}

QByteArray PlotWidget::csv(bool visible) const
{
    return plotTable(data(), visible ? std::optional(visibleRange()) : std::nullopt);
}

void PlotWidget::paintFigure(QPainter& painter, const QPalette& palette)
{
    m_figure.paint(painter, palette);
    m_figure.paintMarkers(painter, palette, -1);
}

void PlotWidget::paintEvent(QPaintEvent* /*event*/)
{
    const double ratio = devicePixelRatioF();
    const QSize pixels = (QSizeF(size()) * ratio).toSize();
    if (m_pictureStale || m_picture.size() != pixels) {
        if (m_picture.size() != pixels)
            m_picture = QPixmap(pixels);
        m_picture.setDevicePixelRatio(ratio);
        QPainter painter(&m_picture);
        m_figure.paint(painter, palette());
        m_pictureStale = false;
    }

    QPainter painter(this);
    painter.drawPixmap(0, 0, m_picture);
    const FigureColours colours(palette());
    paintCrosshair(painter, colours, CrosshairPart::Line);
    m_figure.paintMarkers(painter, palette(), hasFocus() ? m_focusedMarker : -1);
    paintCrosshair(painter, colours, CrosshairPart::Panel);
    if (m_drag == Drag::RubberBand) {
        QColor fill = colours.accent;
        fill.setAlphaF(0.18F);
        painter.setPen(QPen(colours.accent, 1.0));
        painter.setBrush(fill);
        painter.drawRect(rubberBand());
    }
    if (hasFocus()) {
        painter.setPen(QPen(colours.accent, 1.0));
        painter.setBrush(Qt::NoBrush);
        painter.drawRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5));
    }
}

void PlotWidget::paintCrosshair(QPainter& painter, const FigureColours& colours, CrosshairPart part) const
{
    if (!m_crosshair || m_figure.isEmpty() || m_drag == Drag::RubberBand || m_drag == Drag::Pan)
        return;
    const PlotData& shown = data();
    QVector<PlotReading> readings = readingsAt(*m_crosshair);
    // On a point of a scatter that point is what one asks about, not the lines behind it.
    const bool onPoint = m_hovered.first >= 0 && !shown.series[m_hovered.first].line;
    readings.removeIf([&](const PlotReading& reading) { return onPoint || !shown.series[reading.series].line; });
    if (readings.isEmpty()) {
        if (m_hovered.first >= 0 && part == CrosshairPart::Panel)
            paintPointPanel(painter, colours);
        return;
    }

    // The curve nearest to the crosshair says where exactly it stands.
    const auto closest =
        std::min_element(readings.begin(), readings.end(), [this](const PlotReading& a, const PlotReading& b) {
            return std::abs(a.value.x() - *m_crosshair) < std::abs(b.value.x() - *m_crosshair);
        });
    const double x = closest->value.x();
    const QRectF area = plotArea();
    const double pixel = toPixel({x, 1.0}).x();
    if (!isShowable(x, logarithmicX()) || pixel < area.left() - 1.0 || pixel > area.right() + 1.0)
        return;

    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    if (part == CrosshairPart::Line) {
        painter.setPen(QPen(colours.axis, 1.0, Qt::DotLine));
        painter.drawLine(QPointF(pixel, area.top()), QPointF(pixel, area.bottom()));
        painter.setPen(QPen(colours.background, 1.0));
        for (const PlotReading& reading : std::as_const(readings)) {
            const QPointF spot = toPixel(reading.value);
            if (!isShowable(reading.value.y(), logarithmicY()) || !area.contains(spot))
                continue;
            painter.setBrush(m_figure.seriesColourOf(reading.series, colours.dark));
            painter.drawEllipse(spot, 3.6, 3.6);
        }
        painter.restore();
        return;
    }

    const QFont ticks = FigureFonts(font()).ticks;
    const QFontMetricsF metrics(ticks);
    const qsizetype shownCount = std::min(readings.size(), mostReadings);
    QStringList lines{u"%1: %2"_s.arg(shown.x.title.isEmpty() ? u"x"_s : shown.x.title, formatValue(x))};
    for (const PlotReading& reading : readings.first(shownCount)) {
        const QString name = metrics.elidedText(shown.series[reading.series].name, Qt::ElideMiddle, 220.0);
        QString line =
            name.isEmpty() ? formatValue(reading.value.y()) : u"%1: %2"_s.arg(name, formatValue(reading.value.y()));
        if (reading.value.x() != x)
            line += tr(" at %1").arg(formatValue(reading.value.x()));
        lines << sampleRoom + line;
    }
    if (readings.size() > shownCount)
        lines << tr("and %1 more").arg(readings.size() - shownCount);
    const double height = std::clamp(m_pointer.y(), area.top(), area.bottom());
    const QRectF panel = paintHint(painter, colours, ticks, lines, QPointF(pixel, height), QRectF(rect()));
    for (qsizetype place = 0; place < shownCount; ++place) {
        const double top = panel.top() + 7.0 + metrics.height() * static_cast<double>(place + 1);
        const QRectF sample(panel.left() + 6.0, top, metrics.horizontalAdvance(sampleRoom) - 3.0, metrics.height());
        m_figure.paintSample(painter, readings[place].series, sample, colours.dark);
    }
    painter.restore();
}

void PlotWidget::paintPointPanel(QPainter& painter, const FigureColours& colours) const
{
    const PlotData& shown = data();
    const PlotSeries& series = shown.series[m_hovered.first];
    const QPointF point = series.points[m_hovered.second];
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colours.text, 1.5));
    painter.setBrush(Qt::NoBrush);
    painter.drawEllipse(toPixel(point), 7.0, 7.0);
    painter.restore();
    QStringList lines{u"%1: %2"_s.arg(shown.x.title, formatValue(point.x())),
                      u"%1: %2"_s.arg(shown.y.title, formatValue(point.y()))};
    if (!series.name.isEmpty())
        lines.prepend(series.name);
    paintHint(painter, colours, FigureFonts(font()).ticks, lines, toPixel(point), QRectF(rect()));
}

void PlotWidget::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    m_figure.setSize(QSizeF(size()), font());
    figureChanged();
}

void PlotWidget::changeEvent(QEvent* event)
{
    if (event->type() == QEvent::FontChange || event->type() == QEvent::ApplicationFontChange)
        m_figure.setSize(QSizeF(size()), font());
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange ||
        event->type() == QEvent::StyleChange)
        figureChanged();
    QWidget::changeEvent(event);
}

QSize PlotWidget::sizeHint() const
{
    return {640, 420};
}

QSize PlotWidget::minimumSizeHint() const
{
    return {260, 180};
}

} // namespace rankwright::ui
