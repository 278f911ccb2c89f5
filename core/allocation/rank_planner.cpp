#include "core/allocation/rank_planner.h"

#include "core/allocation/allocators.h"
#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace rankwright {

namespace {

/// Parameters within a share of a whole; shares such as 0.7 are not exact in binary.
std::size_t budgetOf(double share, std::size_t parameters)
{
    return static_cast<std::size_t>(std::floor(share * static_cast<double>(parameters) * (1.0 + 1e-12) + 1e-9));
}

void requireCall(std::string_view allocator, double keptRatio)
{
    findAllocator(allocator);
    if (!(keptRatio > 0.0 && keptRatio <= 1.0))
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("kept ratio {} is outside (0, 1]: give the share of parameters to keep", keptRatio));
}

void raise(std::string_view allocator, const AllocationTask& task, std::vector<std::size_t>& ranks)
{
    if (allocator == "by-type")
        raiseByType(task, ranks);
    else if (allocator == "welore")
        raiseBySpectrum(task, ranks);
    else if (allocator == "strs-loss")
        raiseByThreshold(task, 1, ranks);
    else if (allocator == "strs")
        raiseByThreshold(task, strsLowestTenths, ranks);
    else if (allocator == "modegpt")
        raiseByBlockInfluence(task, ranks);
    else if (allocator == "partial-layers")
        raiseLastBlocks(task, ranks);
    else if (allocator == "lillama-bottom" || allocator == "lillama-top")
        lowerBlockByBlock(task, allocator == "lillama-top", ranks);
    else
        raiseUniformly(task, ranks);
}

} // namespace

RankPlanner::RankPlanner(Structure structure, std::vector<AllocationItem> items)
    : m_structure(structure)
    , m_costs(structure)
    , m_items(std::move(items))
    , m_hulls(m_items.size())
{
    m_leastRanks.reserve(m_items.size());
    for (std::size_t i = 0; i < m_items.size(); ++i) {
        const AllocationItem& item = m_items[i];
        m_denseParameters += item.shape.parameters();
        m_leastRanks.push_back(m_costs.isDense(item.shape, 1) ? item.shape.fullRank() : 1);
        if (hasUsableCurve(item))
            m_hulls[i] = lossHull(m_costs, item, m_leastRanks[i], std::numeric_limits<std::size_t>::max());
    }
}

AllocationPlan RankPlanner::plan(std::string_view allocator, double keptRatio) const
{
    return plan(allocator, keptRatio, ownRanks());
}

AllocationPlan RankPlanner::plan(std::string_view allocator, double keptRatio,
                                 std::span<const std::optional<std::size_t>> byHand) const
{
    requireCall(allocator, keptRatio);
    const RankNeeds needs = leastNeeds(byHand);
    const std::size_t budget = budgetOf(keptRatio, m_denseParameters);
    if (needs.byHand + needs.least > budget)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("keeping {} of {} parameters is not possible: {} are set by hand and rank 1 elsewhere "
                                "needs {}; keep more or lower the ranks set by hand",
                                budget, m_denseParameters, needs.byHand, needs.least));

    std::vector<std::size_t> ranks = m_leastRanks;
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < m_items.size(); ++i) {
        if (byHand[i])
            ranks[i] = *byHand[i];
        else
            open.push_back(i);
    }
    if (findAllocator(allocator).needsLosses)
        for (const std::size_t i : open)
            if (m_hulls[i].slope.empty()) // else the curve was looked through when its hull was made
                requireUsableCurve(m_items[i]);
    if (allocator == "marginal-loss" || allocator == "curvature") {
        raiseByMarginalLoss(m_costs, m_items, m_hulls, open, budget - needs.byHand - needs.least, ranks);
    } else {
        const AllocationTask task{.costs = m_costs,
                                  .structure = m_structure,
                                  .items = m_items,
                                  .open = std::move(open),
                                  .budget = keptRatio * static_cast<double>(m_denseParameters) -
                                            static_cast<double>(needs.byHand)};
        raise(allocator, task, ranks);
    }

    AllocationPlan plan{.ranks = {}, .denseParameters = m_denseParameters};
    plan.ranks.reserve(m_items.size());
    for (std::size_t i = 0; i < m_items.size(); ++i)
        append(i, describe(i, ranks[i], byHand[i].has_value()), plan);
    if (plan.denseParameters > 0)
        plan.keptRatio = static_cast<double>(plan.keptParameters) / static_cast<double>(plan.denseParameters);
    return plan;
}

AllocatedRank RankPlanner::setByHand(std::size_t item, std::size_t rank) const
{
    requireRank(item, rank);
    return describe(item, rank, true);
}

double RankPlanner::leastKeptRatio(std::span<const std::optional<std::size_t>> byHand) const
{
    const RankNeeds needs = leastNeeds(byHand);
    return m_denseParameters > 0
               ? static_cast<double>(needs.byHand + needs.least) / static_cast<double>(m_denseParameters)
               : 0.0;
}

RankPlanner::RankNeeds RankPlanner::leastNeeds(std::span<const std::optional<std::size_t>> byHand) const
{
    if (byHand.size() != m_items.size())
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("{} hand-set ranks for a plan of {} linears", byHand.size(), m_items.size()));
    RankNeeds needs;
    for (std::size_t i = 0; i < m_items.size(); ++i) {
        if (byHand[i])
            requireRank(i, *byHand[i]);
        const std::size_t rank = byHand[i].value_or(m_leastRanks[i]);
        (byHand[i] ? needs.byHand : needs.least) += m_costs.parameters(m_items[i].shape, rank);
    }
    return needs;
}

std::vector<std::optional<std::size_t>> RankPlanner::ownRanks() const
{
    std::vector<std::optional<std::size_t>> ranks;
    ranks.reserve(m_items.size());
    for (const AllocationItem& item : m_items)
        ranks.push_back(item.rank);
    return ranks;
}

void RankPlanner::requireRank(std::size_t item, std::size_t rank) const
{
    const LinearShape shape = m_items[item].shape;
    if (rank < 1 || rank > shape.fullRank())
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("rank {} set by hand is outside [1, {}] of a {}x{} linear", rank, shape.fullRank(),
                                shape.rows, shape.columns),
                    {.tensor = m_items[item].name});
}

AllocatedRank RankPlanner::describe(std::size_t item, std::size_t rank, bool byHand) const
{
    const LinearShape shape = m_items[item].shape;
    AllocatedRank result{.name = m_items[item].name,
                         .rank = rank,
                         .structure = m_costs.structure(shape, rank),
                         .entries = m_costs.entries(shape, rank),
                         .keptParameters = m_costs.parameters(shape, rank),
                         .note = {}};
    if (byHand)
        result.note = "set by hand";
    if (result.structure == StructureKind::Dense && m_structure.kind != StructureKind::Dense) {
        const std::string dense = fmt::format("stored dense: rank {} saves nothing (break-even rank {})", rank,
                                              breakEvenRank(m_structure, shape));
        result.note += (result.note.empty() ? "" : "; ") + dense;
        result.rank = shape.fullRank();
    }
    return result;
}

void RankPlanner::append(std::size_t item, const AllocatedRank& rank, AllocationPlan& plan) const
{
    plan.keptParameters += rank.keptParameters;
    if (m_items[item].sharing.empty())
        plan.ranks.push_back(rank);
    StructureKind structure = rank.structure;
    for (const SharingLinear& linear : m_items[item].sharing) {
        plan.ranks.push_back({.name = linear.name,
                              .rank = rank.rank,
                              .structure = structure,
                              .keptParameters = parameterCount(structure, linear.shape, rank.rank),
                              .note = rank.note});
        if (structure != StructureKind::Dense)
            structure = StructureKind::SharedLatent;
    }
}

} // namespace rankwright
