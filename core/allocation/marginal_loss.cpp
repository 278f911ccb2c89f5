#include "core/allocation/rank_costs.h"
#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <queue>

namespace rankwright {

namespace {

struct Point
{
    std::size_t rank;
    std::size_t parameters;
    double loss;
};

/// Loss saved per parameter from one point to a dearer one.
double slope(const Point& from, const Point& to)
{
    return (from.loss - to.loss) / static_cast<double>(to.parameters - from.parameters);
}

void requireCurve(const AllocationItem& item)
{
    if (item.loss.size() != item.shape.fullRank() + 1)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("allocation by marginal loss needs {} losses of a {}x{} linear, not {}",
                                item.shape.fullRank() + 1, item.shape.rows, item.shape.columns, item.loss.size()),
                    {.tensor = item.name});
    const bool finite =
        std::all_of(item.loss.begin(), item.loss.end(), [](double value) { return std::isfinite(value); });
    if (!finite || !std::isfinite(item.weight) || item.weight < 0.0)
        throw Error(ErrorKind::InvalidArgument, "a loss or weight is not a finite number of at least 0",
                    {.tensor = item.name});
}

/// Corners, after the first, of the lower convex hull of the points of `item` from `rank` on that cost at most `budget`
/// more; only those that lower the loss.
std::vector<Point> hullFrom(const RankCosts& costs, const AllocationItem& item, std::size_t rank, std::size_t budget)
{
    const auto pointAt = [&](std::size_t r) {
        return Point{r, costs.parameters(item.shape, r), item.weight * item.loss[r]};
    };
    std::vector<Point> hull{pointAt(rank)};
    const std::size_t limit = hull.front().parameters + budget;
    const auto add = [&](const Point& point) {
        if (point.parameters > limit || point.parameters <= hull.back().parameters)
            return;
        while (hull.size() >= 2 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), point))
            hull.pop_back();
        hull.push_back(point);
    };
    const std::size_t full = item.shape.fullRank();
    std::size_t next = rank + 1;
    for (; next <= full && !costs.isDense(item.shape, next); ++next)
        add(pointAt(next));
    if (next <= full)
        add(pointAt(full));
    hull.erase(hull.begin());
    Point last = pointAt(rank);
    std::size_t useful = 0;
    while (useful < hull.size() && slope(last, hull[useful]) > 0.0)
        last = hull[useful++];
    hull.resize(useful);
    return hull;
}

struct Step
{
    double slope;
    std::size_t item;
    /// Steepest first, then in the order of the items.
    bool operator<(const Step& other) const { return slope != other.slope ? slope < other.slope : item > other.item; }
};

} // namespace

void raiseByMarginalLoss(const RankCosts& costs, const std::vector<AllocationItem>& items, std::size_t budget,
                         std::vector<std::size_t>& ranks)
{
    std::vector<std::vector<Point>> hulls(items.size());
    std::vector<std::size_t> taken(items.size(), 0);
    std::priority_queue<Step> steps;
    const auto offer = [&](std::size_t i) {
        if (taken[i] == hulls[i].size())
            return;
        const AllocationItem& item = items[i];
        const Point from{ranks[i], costs.parameters(item.shape, ranks[i]), item.weight * item.loss[ranks[i]]};
        steps.push({slope(from, hulls[i][taken[i]]), i});
    };
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].rank)
            continue;
        requireCurve(items[i]);
        hulls[i] = hullFrom(costs, items[i], ranks[i], budget);
        offer(i);
    }
    while (!steps.empty()) {
        const std::size_t i = steps.top().item;
        steps.pop();
        const Point& target = hulls[i][taken[i]];
        const std::size_t price = target.parameters - costs.parameters(items[i].shape, ranks[i]);
        if (price <= budget) {
            budget -= price;
            ranks[i] = target.rank;
            ++taken[i];
        } else {
            hulls[i] = hullFrom(costs, items[i], ranks[i], budget);
            taken[i] = 0;
        }
        offer(i);
    }
}

} // namespace rankwright
