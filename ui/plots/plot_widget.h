#pragma once

#include "ui/plots/plot_export.h"
#include "ui/plots/plot_figure.h"

#include <QPixmap>
#include <QPoint>
#include <QWidget>

#include <optional>

class QAction;

namespace rankwright::ui {

/// Curves and points to look at: zoom, pan, crosshair, draggable markers, export.
///
/// Mouse: wheel zooms around the pointer (over an axis only that axis), dragging zooms into the rectangle, the middle
/// button or space and dragging pan, a double click resets. Keys: arrows pan, + and - zoom, 0 and Home reset, Tab goes
/// to the draggable markers, whose arrows then move them (with Shift ten at once), Ctrl and arrows move the crosshair.
class PlotWidget final : public QWidget
{
    Q_OBJECT
    Q_DISABLE_COPY_MOVE(PlotWidget)

public:
    enum class View { Reset, Keep };

    explicit PlotWidget(QWidget* parent = nullptr);
    ~PlotWidget() override;

    /// Keep leaves the visible range and the logarithmic axes as the user has them, where the new data allow it.
    void setData(const PlotData& data, View view = View::Reset);
    const PlotData& data() const { return m_figure.data(); }
    /// What stands in the middle while there is nothing to show.
    void setEmptyText(const QString& text);

    void setMarkers(const QVector<PlotMarker>& markers);
    const QVector<PlotMarker>& markers() const { return m_figure.markers(); }
    /// Moves a marker without a signal; only the line is painted anew.
    void moveMarker(int id, double x);

    void setLogarithmic(bool x, bool y);
    bool logarithmicX() const { return m_figure.logarithmicX(); }
    bool logarithmicY() const { return m_figure.logarithmicY(); }

    PlotRange visibleRange() const;
    void setVisibleRange(const PlotRange& range);
    void resetView();

    QRectF plotArea() const { return m_figure.plotArea(); }
    QPointF toPixel(const QPointF& value) const { return m_figure.toPixel(value); }
    QPointF toValue(const QPointF& pixel) const { return m_figure.toValue(pixel); }
    /// How many values the axes cannot show, in words; empty when there are none.
    QString note() const { return m_figure.note(); }

    /// What each curve says nearest to x, in the order of the series; series without points are left out.
    QVector<PlotReading> readingsAt(double x) const;
    /// The x of the crosshair, while there is one.
    std::optional<double> crosshair() const { return m_crosshair; }

    /// Save and copy, to be called or connected to.
    FigureActions* figureActions() const { return m_actions; }
    /// The figure with its markers, of the widget's size.
    void paintFigure(QPainter& painter, const QPalette& palette);
    /// The table of all data or of what is in view: one column of x and one per curve, or series, x, y where an x comes
    /// twice.
    QByteArray csv(bool visible) const;

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

signals:
    /// `finished` on release of the mouse or the key; x is whole on an integer axis.
    void markerDragged(int id, double x, bool finished);
    void pointClicked(int series, int index);
    /// The nearest point within 8 pixels, or -1, -1.
    void pointHovered(int series, int index);
    void logarithmicChanged(bool x, bool y);
    void viewChanged();

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void keyReleaseEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    bool focusNextPrevChild(bool next) override;

private:
    enum class Drag { None, Press, RubberBand, Pan, Marker };

    void createActions();
    void addViewAction(QAction* action, const QString& shortcut, const QString& tip);
    void figureChanged();
    void describe();
    void setView(const AxisView& x, const AxisView& y);
    void zoom(const QPointF& anchor, double factor, bool alongX, bool alongY);
    void pan(const QPointF& pixels);
    void zoomInto(const QRectF& band);
    QRectF rubberBand() const;
    double smallest(bool alongX) const;

    int markerAt(const QPointF& pixel) const;
    void dragMarker(int place, double x, bool finished);
    void stepMarker(int steps);
    int nextDraggable(int from, int direction) const;
    void stepCrosshair(int steps);
    void updateCursor(const QPointF& pixel);
    std::optional<PlotReading> pointNear(const QPointF& pixel) const;
    void hover(const QPointF& pixel);
    /// The line with a dot on each curve below the markers, and the panel with the values above them.
    enum class CrosshairPart { Line, Panel };
    void paintCrosshair(QPainter& painter, const FigureColours& colours, CrosshairPart part) const;
    void paintPointPanel(QPainter& painter, const FigureColours& colours) const;

    PlotFigure m_figure;
    FigureActions* m_actions = nullptr;
    QAction* m_logarithmicXAction = nullptr;
    QAction* m_logarithmicYAction = nullptr;

    /// The figure without markers and crosshair, so that these move at the cost of a copy.
    QPixmap m_picture;
    bool m_pictureStale = true;

    Drag m_drag = Drag::None;
    QPointF m_pressed;
    QPointF m_pointer;
    bool m_spaceHeld = false;
    bool m_keyMovedMarker = false;
    int m_draggedMarker = -1;
    int m_focusedMarker = -1;
    std::optional<double> m_crosshair;
    QPair<int, int> m_hovered{-1, -1};
};

} // namespace rankwright::ui
