#include "core/allocation/allocation.h"

#include "core/allocation/rank_costs.h"
#include "core/base/error.h"
#include "core/base/nearest_name.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/ranges.h>

namespace rankwright {

namespace {

constexpr std::array<std::string_view, 2> kAllocators{"uniform", "marginal-loss"};

/// Parameters within a share of a whole; shares such as 0.7 are not exact in binary.
std::size_t budgetOf(double share, std::size_t parameters)
{
    return static_cast<std::size_t>(std::floor(share * static_cast<double>(parameters) * (1.0 + 1e-12) + 1e-9));
}

/// Every linear that is free gets the same share of its parameters; those too small for it keep rank 1, and their
/// excess is taken from the others.
void raiseUniformly(const RankCosts& costs, StructureKind structure, const std::vector<AllocationItem>& items,
                    double budget, std::vector<std::size_t>& ranks)
{
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < items.size(); ++i)
        if (!items[i].rank)
            open.push_back(i);
    double share = 0.0;
    for (bool changed = true; changed && !open.empty();) {
        double parameters = 0.0;
        for (const std::size_t i : open)
            parameters += static_cast<double>(items[i].shape.parameters());
        share = std::min(budget / parameters, 1.0);
        const auto tooSmall = std::stable_partition(open.begin(), open.end(), [&](std::size_t i) {
            return costs.parameters(items[i].shape, 1) <= budgetOf(share, items[i].shape.parameters());
        });
        changed = tooSmall != open.end();
        for (auto i = tooSmall; i != open.end(); ++i)
            budget -= static_cast<double>(costs.parameters(items[*i].shape, ranks[*i]));
        open.erase(tooSmall, open.end());
    }
    constexpr double everything = 1.0 - 1e-12;
    for (const std::size_t i : open)
        ranks[i] = share >= everything ? items[i].shape.fullRank() : rankForKeptRatio(structure, items[i].shape, share);
}

AllocatedRank describe(const RankCosts& costs, StructureKind structure, const AllocationItem& item, std::size_t rank)
{
    AllocatedRank result{item.name, rank, costs.structure(item.shape, rank), costs.parameters(item.shape, rank), {}};
    if (item.rank)
        result.note = "set by hand";
    if (result.structure == StructureKind::Dense && structure != StructureKind::Dense) {
        const std::string dense = fmt::format("stored dense: rank {} saves nothing (break-even rank {})", rank,
                                              breakEvenRank(structure, item.shape));
        result.note += (result.note.empty() ? "" : "; ") + dense;
        result.rank = item.shape.fullRank();
    }
    return result;
}

} // namespace

void AllocationItem::setRelativeLoss(std::vector<double> curve)
{
    loss = std::move(curve);
    weight = !loss.empty() && loss.front() > 0.0 ? 1.0 / loss.front() : 0.0;
}

std::vector<std::string_view> allocatorNames()
{
    return {kAllocators.begin(), kAllocators.end()};
}

AllocationPlan allocate(std::string_view allocator, StructureKind structure, double keptRatio,
                        const std::vector<AllocationItem>& items)
{
    if (std::find(kAllocators.begin(), kAllocators.end(), allocator) == kAllocators.end())
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("unknown allocation \"{}\", did you mean \"{}\"? Known: {}", allocator,
                                nearestName(allocator, kAllocators), fmt::join(kAllocators, ", ")));
    if (!(keptRatio > 0.0 && keptRatio <= 1.0))
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("kept ratio {} is outside (0, 1]: give the share of parameters to keep", keptRatio));

    const RankCosts costs(structure);
    AllocationPlan plan;
    std::vector<std::size_t> ranks;
    std::size_t byHand = 0;
    std::size_t least = 0;
    for (const AllocationItem& item : items) {
        plan.denseParameters += item.shape.parameters();
        if (item.rank && (*item.rank < 1 || *item.rank > item.shape.fullRank()))
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("rank {} set by hand is outside [1, {}] of a {}x{} linear", *item.rank,
                                    item.shape.fullRank(), item.shape.rows, item.shape.columns),
                        {.tensor = item.name});
        std::size_t rank = item.rank.value_or(1);
        if (costs.isDense(item.shape, rank) && !item.rank)
            rank = item.shape.fullRank();
        ranks.push_back(rank);
        (item.rank ? byHand : least) += costs.parameters(item.shape, rank);
    }
    const std::size_t budget = budgetOf(keptRatio, plan.denseParameters);
    if (byHand + least > budget)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("keeping {} of {} parameters is not possible: {} are set by hand and rank 1 elsewhere "
                                "needs {}; keep more or lower the ranks set by hand",
                                budget, plan.denseParameters, byHand, least));
    if (allocator == "uniform")
        raiseUniformly(costs, structure, items,
                       keptRatio * static_cast<double>(plan.denseParameters) - static_cast<double>(byHand), ranks);
    else
        raiseByMarginalLoss(costs, items, budget - byHand - least, ranks);

    for (std::size_t i = 0; i < items.size(); ++i) {
        plan.ranks.push_back(describe(costs, structure, items[i], ranks[i]));
        plan.keptParameters += plan.ranks.back().keptParameters;
    }
    if (plan.denseParameters > 0)
        plan.keptRatio = static_cast<double>(plan.keptParameters) / static_cast<double>(plan.denseParameters);
    return plan;
}

} // namespace rankwright
