#pragma once

#include "ui/plots/axis_scale.h"
#include "ui/plots/curve.h"
#include "ui/plots/figure_parts.h"
#include "ui/plots/plot_data.h"

#include <QFont>
#include <QGraphicsScene>
#include <QPalette>
#include <QRectF>
#include <QSizeF>
#include <QVector>

class QChart;
class QLineSeries;
class QPainter;
class QValueAxis;

namespace rankwright::ui {

/// A plot as a picture: layout, axes and curves for any painter, without a widget.
/// Qt Charts maps and draws the curves; title, legend, ticks and axis names are laid out here, because those of Qt
/// Charts are cut off in small windows. Logarithms are taken here as well: a QLogValueAxis drops a whole series for one
/// value at 0.
class PlotFigure
{
public:
    PlotFigure();
    ~PlotFigure();
    Q_DISABLE_COPY_MOVE(PlotFigure)

    void setData(const PlotData& data);
    const PlotData& data() const { return m_data; }
    const QVector<Curve>& curves() const { return m_curves; }

    void setLogarithmic(bool x, bool y);
    bool logarithmicX() const { return m_data.x.logarithmic; }
    bool logarithmicY() const { return m_data.y.logarithmic; }

    void setMarkers(const QVector<PlotMarker>& markers) { m_markers = markers; }
    const QVector<PlotMarker>& markers() const { return m_markers; }
    QVector<PlotMarker>& markers() { return m_markers; }

    void setEmptyText(const QString& text) { m_emptyText = text; }
    /// Nothing to draw: the empty text stands instead of axes.
    bool isEmpty() const { return m_empty; }

    void setSize(const QSizeF& size, const QFont& font);
    QSizeF size() const { return m_size; }
    QRectF plotArea() const { return m_plotArea; }

    const AxisView& xView() const { return m_xView; }
    const AxisView& yView() const { return m_yView; }
    const AxisView& xFull() const { return m_xFull; }
    const AxisView& yFull() const { return m_yFull; }
    /// Takes the part of the views that lies inside the full ones.
    void setView(const AxisView& x, const AxisView& y);
    void resetView() { setView(m_xFull, m_yFull); }

    /// Between values and pixels of the figure.
    QPointF toPixel(const QPointF& value) const;
    QPointF toValue(const QPointF& pixel) const;

    QColor seriesColourOf(int series, bool dark) const;
    /// How many points an axis cannot show, in words; empty when there are none.
    const QString& note() const { return m_note; }

    /// Everything but the markers.
    void paint(QPainter& painter, const QPalette& palette);
    /// The vertical markers; `focused` is the place of the one with the keyboard, or -1.
    void paintMarkers(QPainter& painter, const QPalette& palette, int focused) const;
    /// A piece of the line and its marker, centred in `area`.
    void paintSample(QPainter& painter, int series, const QRectF& area, bool dark) const;

private:
    // In pixels.
    static constexpr double margin = 10.0;
    static constexpr double gap = 6.0;
    static constexpr double sampleWidth = 26.0;

    struct LegendEntry
    {
        int series = -1;
        QString text;
        QRectF area;
    };

    int colourIndex(int series) const;
    QPen penOf(int series, bool dark) const;
    void updateFull();
    void updateNote();
    void layOut();
    double layOutLegend(double top, double left, double width);
    void updateCurves(bool dark);
    void paintAxes(QPainter& painter, const FigureColours& colours) const;
    void paintShaded(QPainter& painter, const FigureColours& colours) const;
    void paintBars(QPainter& painter, const FigureColours& colours) const;
    void paintPoints(QPainter& painter, const FigureColours& colours) const;
    void paintTexts(QPainter& painter, const FigureColours& colours) const;

    PlotData m_data;
    QVector<Curve> m_curves;
    QVector<PlotMarker> m_markers;
    QString m_emptyText;
    QString m_note;
    bool m_empty = true;

    AxisView m_xFull;
    AxisView m_yFull;
    AxisView m_xView;
    AxisView m_yView;

    QSizeF m_size;
    FigureFonts m_fonts;
    QRectF m_plotArea;
    QRectF m_titleArea;
    QRectF m_yTitleArea; ///< of a title above the plot; empty where it stands beside it
    QVector<LegendEntry> m_legend;
    QVector<AxisTick> m_xTicks;
    QVector<AxisTick> m_yTicks;

    QGraphicsScene m_scene;
    QChart* m_chart = nullptr;
    QValueAxis* m_xAxis = nullptr;
    QValueAxis* m_yAxis = nullptr;
    QVector<QLineSeries*> m_lines;
    bool m_curvesStale = true;
};

} // namespace rankwright::ui
