#pragma once

#include "ui/plots/axis_scale.h"
#include "ui/plots/plot_data.h"

#include <utility>

namespace rankwright::ui {

/// The points of one series in the order of x, for searching and drawing.
class Curve
{
public:
    Curve() = default;
    explicit Curve(const QVector<QPointF>& points);

    qsizetype size() const { return m_points.size(); }
    const QPointF& point(qsizetype position) const { return m_points[position]; }
    /// The place of a point in the series it came from.
    int sourceIndex(qsizetype position) const;

    /// The position whose x is nearest, the lower of two equally near ones; -1 without points. Binary search.
    qsizetype nearest(double x) const;

    /// Positions [first, last) with lower <= x <= upper.
    std::pair<qsizetype, qsizetype> within(double lower, double upper) const;

    /// Points that the axes cannot show because a value is at or below 0, and because y is not finite.
    int countNotPositive(bool logarithmicX, bool logarithmicY) const;
    int countNotFinite() const;

    /// Widens the views (axis space) so that all points the axes can show lie inside; false if there is none.
    bool extend(AxisView& x, AxisView& y, bool logarithmicX, bool logarithmicY) const;

    /// What a line through the points needs to look the same on `columns` columns of pixels: in axis space, in the
    /// order of x, at most two points a column, its least and its greatest y, and the neighbours just outside. Gaps are
    /// points with y = NaN.
    QVector<QPointF> thinned(const AxisView& x, bool logarithmicX, bool logarithmicY, int columns) const;

private:
    QVector<QPointF> m_points;
    /// Empty when points and series agree.
    QVector<int> m_source;
};

/// The points of a line, in the order of x, without those that lie within `tolerance` (in y) of the line through the
/// points that stay. Gaps stay. One pass ("swinging door").
QVector<QPointF> straightened(const QVector<QPointF>& points, double tolerance);

} // namespace rankwright::ui
