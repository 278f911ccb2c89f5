#pragma once

#include "core/allocation/rank_costs.h"

#include <span>

namespace rankwright {

/// allocate() for many plans of the same linears: what depends on their curves only is prepared once, so that a plan
/// takes milliseconds for hundreds of linears of thousands of ranks. Plans may be made from several threads.
class RankPlanner
{
public:
    /// Throws nothing for missing or wrong curves: plan() does, where it needs them.
    RankPlanner(Structure structure, std::vector<AllocationItem> items);

    Structure structure() const { return m_structure; }
    const std::vector<AllocationItem>& items() const { return m_items; }

    /// allocate() with the items' own hand-set ranks.
    AllocationPlan plan(std::string_view allocator, double keptRatio) const;
    /// allocate() with these hand-set ranks in place of the items' own, one per item. Throws as allocate().
    AllocationPlan plan(std::string_view allocator, double keptRatio,
                        std::span<const std::optional<std::size_t>> byHand) const;

    /// One item at a rank set by hand, as it would stand in a plan; linears that share their latents together.
    AllocatedRank setByHand(std::size_t item, std::size_t rank) const;
    /// The smallest kept ratio that plan() accepts with these hand-set ranks; above 1 where even dense linears exceed.
    double leastKeptRatio(std::span<const std::optional<std::size_t>> byHand) const;

private:
    /// Parameters of the ranks set by hand, and of the least ranks elsewhere.
    struct RankNeeds
    {
        std::size_t byHand = 0;
        std::size_t least = 0;
    };
    RankNeeds leastNeeds(std::span<const std::optional<std::size_t>> byHand) const;
    std::vector<std::optional<std::size_t>> ownRanks() const;
    AllocatedRank describe(std::size_t item, std::size_t rank, bool byHand) const;
    /// Adds what describe() gives of the item to a plan, linear by linear.
    void append(std::size_t item, const AllocatedRank& rank, AllocationPlan& plan) const;
    void requireRank(std::size_t item, std::size_t rank) const;

    Structure m_structure;
    RankCosts m_costs;
    std::vector<AllocationItem> m_items;
    std::size_t m_denseParameters = 0;
    std::vector<std::size_t> m_leastRanks; ///< 1, or min(m, n) where rank 1 is dense already
    std::vector<LossHull> m_hulls;         ///< from the least rank on; no corners where an item has no usable curve
};

} // namespace rankwright
