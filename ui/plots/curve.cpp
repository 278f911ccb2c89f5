#include "ui/plots/curve.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace rankwright::ui {

namespace {

bool lessX(const QPointF& a, const QPointF& b)
{
    return a.x() < b.x();
}

} // namespace

Curve::Curve(const QVector<QPointF>& points)
    : m_points(points)
{
    const bool allFinite =
        std::all_of(points.begin(), points.end(), [](const QPointF& point) { return std::isfinite(point.x()); });
    if (allFinite && std::is_sorted(points.begin(), points.end(), lessX))
        return;
    m_source.reserve(points.size());
    for (int index = 0; index < points.size(); ++index) {
        if (std::isfinite(points[index].x()))
            m_source.append(index);
    }
    std::stable_sort(m_source.begin(), m_source.end(), [&](int a, int b) { return lessX(points[a], points[b]); });
    m_points.clear();
    m_points.reserve(m_source.size());
    for (const int index : std::as_const(m_source))
        m_points.append(points[index]);
}

int Curve::sourceIndex(qsizetype position) const
{
    return m_source.isEmpty() ? static_cast<int>(position) : m_source[position];
}

qsizetype Curve::nearest(double x) const
{
    if (m_points.isEmpty() || std::isnan(x))
        return -1;
    const auto above = std::lower_bound(m_points.begin(), m_points.end(), QPointF(x, 0.0), lessX);
    if (above == m_points.begin())
        return 0;
    qsizetype position = above - m_points.begin();
    if (above == m_points.end() || x - m_points[position - 1].x() <= above->x() - x)
        --position;
    // The first of several points at one x.
    const auto first = std::lower_bound(m_points.begin(), m_points.end(), m_points[position], lessX);
    return first - m_points.begin();
}

std::pair<qsizetype, qsizetype> Curve::within(double lower, double upper) const
{
    const auto first = std::lower_bound(m_points.begin(), m_points.end(), QPointF(lower, 0.0), lessX);
    const auto last = std::upper_bound(first, m_points.end(), QPointF(upper, 0.0), lessX);
    return {first - m_points.begin(), last - m_points.begin()};
}

int Curve::countNotPositive(bool logarithmicX, bool logarithmicY) const
{
    if (!logarithmicX && !logarithmicY)
        return 0;
    return static_cast<int>(std::count_if(m_points.begin(), m_points.end(), [=](const QPointF& point) {
        return std::isfinite(point.y()) && ((logarithmicX && point.x() <= 0.0) || (logarithmicY && point.y() <= 0.0));
    }));
}

int Curve::countNotFinite() const
{
    return static_cast<int>(std::count_if(m_points.begin(), m_points.end(),
                                          [](const QPointF& point) { return !std::isfinite(point.y()); }));
}

bool Curve::extend(AxisView& x, AxisView& y, bool logarithmicX, bool logarithmicY) const
{
    double xLower = std::numeric_limits<double>::infinity();
    double xUpper = -xLower;
    double yLower = xLower;
    double yUpper = -xLower;
    for (const QPointF& point : m_points) {
        if (!isShowable(point.x(), logarithmicX) || !isShowable(point.y(), logarithmicY))
            continue;
        xLower = std::min(xLower, point.x());
        xUpper = std::max(xUpper, point.x());
        yLower = std::min(yLower, point.y());
        yUpper = std::max(yUpper, point.y());
    }
    if (xLower > xUpper)
        return false;
    x = {std::min(x.lower, toAxis(xLower, logarithmicX)), std::max(x.upper, toAxis(xUpper, logarithmicX))};
    y = {std::min(y.lower, toAxis(yLower, logarithmicY)), std::max(y.upper, toAxis(yUpper, logarithmicY))};
    return true;
}

QVector<QPointF> Curve::thinned(const AxisView& x, bool logarithmicX, bool logarithmicY, int columns) const
{
    QVector<QPointF> result;
    auto [first, last] = within(fromAxis(x.lower, logarithmicX), fromAxis(x.upper, logarithmicX));
    // Neighbours outside, so that the line runs on to the edge.
    first = std::max<qsizetype>(0, first - 1);
    last = std::min(m_points.size(), last + 1);
    const bool thin = last - first > 2 * static_cast<qsizetype>(columns);
    result.reserve(std::min(last - first, 2 * static_cast<qsizetype>(columns) + 8));

    const double columnsPerUnit = columns / x.length();
    double column = std::numeric_limits<double>::quiet_NaN();
    QPointF least;
    QPointF greatest;
    bool pending = false;
    const auto flush = [&] {
        if (!pending)
            return;
        const bool leastFirst = least.x() <= greatest.x();
        result.append(leastFirst ? least : greatest);
        // Not QPointF's own comparison, which takes small values for equal.
        if (least.x() != greatest.x() || least.y() != greatest.y())
            result.append(leastFirst ? greatest : least);
        pending = false;
    };

    for (qsizetype position = first; position < last; ++position) {
        const QPointF& point = m_points[position];
        if (!isShowable(point.x(), logarithmicX) || !isShowable(point.y(), logarithmicY)) {
            flush();
            if (!result.isEmpty() && !std::isnan(result.back().y()))
                result.append({result.back().x(), std::numeric_limits<double>::quiet_NaN()});
            continue;
        }
        const QPointF drawn(toAxis(point.x(), logarithmicX), toAxis(point.y(), logarithmicY));
        if (!thin) {
            result.append(drawn);
            continue;
        }
        const double ownColumn = std::floor((drawn.x() - x.lower) * columnsPerUnit);
        if (!pending || ownColumn != column) {
            flush();
            column = ownColumn;
            least = greatest = drawn;
            pending = true;
        } else if (drawn.y() < least.y()) {
            least = drawn;
        } else if (drawn.y() > greatest.y()) {
            greatest = drawn;
        }
    }
    flush();
    return result;
}

QVector<QPointF> straightened(const QVector<QPointF>& points, double tolerance)
{
    constexpr double infinity = std::numeric_limits<double>::infinity();
    QVector<QPointF> kept;
    // From the anchor, the last kept point, all points since are seen through a door of slopes, which closes as they
    // come.
    qsizetype anchor = -1;
    double least = -infinity;
    double greatest = infinity;
    const auto keep = [&](qsizetype place) {
        if (place == anchor)
            return;
        kept.append(points[place]);
        anchor = place;
        least = -infinity;
        greatest = infinity;
    };
    for (qsizetype place = 0; place < points.size(); ++place) {
        const QPointF& point = points[place];
        const bool gap = std::isnan(point.y());
        if (gap && place > 0)
            keep(place - 1);
        if (anchor < 0 || gap || std::isnan(points[anchor].y())) {
            keep(place);
            continue;
        }
        const auto slope = [&](double y) { return (y - points[anchor].y()) / (point.x() - points[anchor].x()); };
        if (point.x() > points[anchor].x() && (slope(point.y()) < least || slope(point.y()) > greatest))
            keep(place - 1);
        if (point.x() > points[anchor].x()) {
            least = std::max(least, slope(point.y() - tolerance));
            greatest = std::min(greatest, slope(point.y() + tolerance));
        } else {
            keep(place);
        }
    }
    if (!points.isEmpty())
        keep(points.size() - 1);
    return kept;
}

} // namespace rankwright::ui
