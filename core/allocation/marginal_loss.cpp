#include "core/allocation/rank_costs.h"
#include "core/base/error.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <limits>
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

struct Step
{
    double slope;
    std::size_t item;
    /// Steepest first, then in the order of the items.
    bool operator<(const Step& other) const { return slope != other.slope ? slope < other.slope : item > other.item; }
};

/// Takes steps of all open items in falling order of their slopes until one does not fit. `corner` is where each open
/// item stands afterwards. Gives what is left of the budget.
std::size_t takeWhileFitting(const std::vector<LossHull>& hulls, const std::vector<std::size_t>& open,
                             std::size_t budget, std::vector<std::size_t>& corner)
{
    // Corner reached when all steps of at least a slope are taken. Slopes fall, so what a threshold buys grows as it
    // falls, and the last threshold within the budget is found by halving the bits of positive doubles, which are
    // ordered as the doubles are. Every open item keeps the range its corner must lie in.
    std::vector<std::size_t> low(open.size(), 0);
    std::vector<std::size_t> high(open.size());
    std::vector<std::size_t> middle(open.size());
    std::size_t everything = 0;
    for (std::size_t i = 0; i < open.size(); ++i) {
        const LossHull& hull = hulls[open[i]];
        high[i] = hull.slope.size() - 1;
        everything += hull.parameters.back() - hull.parameters.front();
    }
    if (everything <= budget) {
        corner = high;
        return budget - everything;
    }
    std::size_t spent = 0;
    auto tooLow = std::bit_cast<std::uint64_t>(0.0);
    auto fits = std::bit_cast<std::uint64_t>(std::numeric_limits<double>::infinity());
    while (fits - tooLow > 1) {
        const std::uint64_t bits = tooLow + (fits - tooLow) / 2;
        const auto threshold = std::bit_cast<double>(bits);
        std::size_t sum = 0;
        for (std::size_t i = 0; i < open.size(); ++i) {
            const LossHull& hull = hulls[open[i]];
            const auto first = hull.slope.begin() + static_cast<std::ptrdiff_t>(low[i]);
            const auto last = hull.slope.begin() + static_cast<std::ptrdiff_t>(high[i]) + 1;
            const auto past = std::partition_point(first, last, [&](double value) { return value >= threshold; });
            middle[i] = static_cast<std::size_t>(past - hull.slope.begin()) - 1;
            sum += hull.parameters[middle[i]] - hull.parameters.front();
        }
        if (sum <= budget) {
            fits = bits;
            low = middle;
            spent = sum;
        } else {
            tooLow = bits;
            high = middle;
        }
    }
    // Steps of exactly the next slope, in the order of the items.
    const auto next = std::bit_cast<double>(tooLow);
    for (std::size_t i = 0; i < open.size(); ++i) {
        const LossHull& hull = hulls[open[i]];
        if (low[i] + 1 == hull.slope.size() || hull.slope[low[i] + 1] < next)
            continue;
        const std::size_t price = hull.parameters[low[i] + 1] - hull.parameters[low[i]];
        if (spent + price > budget)
            break;
        spent += price;
        ++low[i];
    }
    corner = low;
    return budget - spent;
}

} // namespace

bool hasUsableCurve(const AllocationItem& item)
{
    return item.loss.size() == item.shape.fullRank() + 1 && std::isfinite(item.weight) && item.weight >= 0.0 &&
           std::all_of(item.loss.begin(), item.loss.end(), [](double value) { return std::isfinite(value); });
}

void requireUsableCurve(const AllocationItem& item)
{
    if (item.loss.size() != item.shape.fullRank() + 1)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("allocation by marginal loss needs {} losses of a {}x{} linear, not {}",
                                item.shape.fullRank() + 1, item.shape.rows, item.shape.columns, item.loss.size()),
                    {.tensor = item.name});
    if (!hasUsableCurve(item))
        throw Error(ErrorKind::InvalidArgument, "a loss or weight is not a finite number of at least 0",
                    {.tensor = item.name});
}

LossHull lossHull(const RankCosts& costs, const AllocationItem& item, std::size_t rank, std::size_t budget)
{
    const auto pointAt = [&](std::size_t r) {
        return Point{r, costs.parameters(item.shape, r), item.weight * item.loss[r]};
    };
    std::vector<Point> corners{pointAt(rank)};
    const auto add = [&](const Point& point) {
        if (point.parameters <= corners.back().parameters)
            return;
        while (corners.size() >= 2 &&
               slope(corners[corners.size() - 2], corners.back()) <= slope(corners.back(), point))
            corners.pop_back();
        corners.push_back(point);
    };
    const std::size_t full = item.shape.fullRank();
    const std::size_t start = corners.front().parameters;
    bool within = true;
    for (std::size_t next = rank + 1; within && next <= full; ++next) {
        const bool dense = costs.isDense(item.shape, next);
        const Point point = pointAt(dense ? full : next);
        within = point.parameters - start <= budget;
        if (within)
            add(point);
        if (dense)
            break;
    }
    LossHull hull{{std::numeric_limits<double>::infinity()}, {rank}, {start}};
    for (std::size_t i = 1; i < corners.size(); ++i) {
        const double saved = slope(corners[i - 1], corners[i]);
        if (saved <= 0.0)
            break;
        hull.slope.push_back(saved);
        hull.rank.push_back(corners[i].rank);
        hull.parameters.push_back(corners[i].parameters);
    }
    return hull;
}

void raiseByMarginalLoss(const RankCosts& costs, const std::vector<AllocationItem>& items,
                         const std::vector<LossHull>& hulls, const std::vector<std::size_t>& open, std::size_t budget,
                         std::vector<std::size_t>& ranks)
{
    std::vector<std::size_t> corner;
    budget = takeWhileFitting(hulls, open, budget, corner);

    // The last parameters, one step at a time: a step that does not fit gives way to the steepest that does.
    std::vector<LossHull> limited(open.size());
    std::vector<const LossHull*> current(open.size());
    std::priority_queue<Step> steps;
    const auto offer = [&](std::size_t i) {
        if (corner[i] + 1 < current[i]->slope.size())
            steps.push({current[i]->slope[corner[i] + 1], i});
    };
    for (std::size_t i = 0; i < open.size(); ++i) {
        current[i] = &hulls[open[i]];
        offer(i);
    }
    while (!steps.empty()) {
        const std::size_t i = steps.top().item;
        steps.pop();
        const LossHull& hull = *current[i];
        const std::size_t price = hull.parameters[corner[i] + 1] - hull.parameters[corner[i]];
        if (price <= budget) {
            budget -= price;
            ++corner[i];
        } else {
            limited[i] = lossHull(costs, items[open[i]], hull.rank[corner[i]], budget);
            current[i] = &limited[i];
            corner[i] = 0;
        }
        offer(i);
    }
    for (std::size_t i = 0; i < open.size(); ++i)
        ranks[open[i]] = current[i]->rank[corner[i]];
}

} // namespace rankwright
