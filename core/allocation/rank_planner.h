#pragma once

#include "core/allocation/allocation.h"

#include <cstdint>
#include <span>

namespace rankwright {

/// allocate() for many plans of the same linears: what depends on their curves only is prepared once, so that a plan
/// takes milliseconds for hundreds of linears of thousands of ranks. Plans may be made from several threads.
class RankPlanner
{
public:
    /// Throws nothing for missing or wrong curves: plan() does, where it needs them.
    RankPlanner(StructureKind structure, std::vector<AllocationItem> items);

    StructureKind structure() const { return m_structure; }
    const std::vector<AllocationItem>& items() const { return m_items; }

    /// allocate() with the items' own hand-set ranks.
    AllocationPlan plan(std::string_view allocator, double keptRatio) const;
    /// allocate() with these hand-set ranks in place of the items' own, one per item. Throws as allocate().
    AllocationPlan plan(std::string_view allocator, double keptRatio,
                        std::span<const std::optional<std::size_t>> byHand) const;

    /// One linear at a rank set by hand, as it would stand in a plan.
    AllocatedRank setByHand(std::size_t item, std::size_t rank) const;
    /// The smallest kept ratio that plan() accepts with these hand-set ranks; above 1 where even dense linears exceed.
    double leastKeptRatio(std::span<const std::optional<std::size_t>> byHand) const;

private:
    /// Corners of the lower convex hull of (parameters, weighted loss), from the least rank on.
    struct Hull
    {
        std::vector<double> slope;             ///< loss saved per parameter on the way to a corner, falling
        std::vector<std::uint32_t> rank;       ///< of the corner
        std::vector<std::uint64_t> parameters; ///< of the corner
    };

    StructureKind m_structure;
    std::vector<AllocationItem> m_items;
    std::vector<std::size_t> m_leastRanks; ///< 1, or min(m, n) where rank 1 is dense already
    std::vector<Hull> m_hulls;             ///< empty where an item has no usable curve
};

} // namespace rankwright
