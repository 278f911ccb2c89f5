#pragma once

#include <QLineF>
#include <QPair>
#include <QPointF>
#include <QString>
#include <QVector>

#include <optional>

namespace rankwright::ui {

struct PlotAxis
{
    QString title;
    bool logarithmic = false;
    /// Values are whole numbers: ticks and dragged markers keep to them.
    bool integer = false;
    /// Bounds of the whole view in values; without them those of the data with a little room.
    std::optional<double> min;
    std::optional<double> max;
};

struct PlotSeries
{
    QString name;
    /// In any order; a line joins them in the order of x. A y that is not finite leaves a gap, a point without a finite
    /// x is left out.
    QVector<QPointF> points;
    /// Index into the series colours; -1 takes the place in the plot.
    int colour = -1;
    /// A marker on every point. Without it a line bears a few markers far apart when there are several curves.
    bool markers = false;
    bool line = true;
    bool dashed = false;
    /// Straight lines between values, drawn behind the points: spreads.
    QVector<QLineF> bars = {};
};

struct PlotData
{
    QString title;
    PlotAxis x;
    PlotAxis y;
    QVector<PlotSeries> series;
    /// A range of x that is shaded, e.g. the ranks beyond break-even; infinite ends reach the edge.
    std::optional<QPair<double, double>> shaded;
    QString shadedLabel;
};

/// A vertical line at x with a label.
struct PlotMarker
{
    int id = 0;
    double x = 0.0;
    QString label;
    bool draggable = false;
    /// Index into the series colours; -1 is the colour of text.
    int colour = -1;
};

/// Bounds of what is seen, in values of the axes.
struct PlotRange
{
    double xLower = 0.0;
    double xUpper = 1.0;
    double yLower = 0.0;
    double yUpper = 1.0;
};

/// What one curve says near an x: the point of `series` whose x is nearest.
struct PlotReading
{
    int series = -1;
    int index = -1;
    QPointF value;
};

} // namespace rankwright::ui
