#pragma once

#include "core/allocation/allocation.h"

#include <algorithm>

namespace rankwright {

/// ASVD's search tries kept ratios from this one on, in tenths (methods 25.2).
inline constexpr int strsLowestTenths = 4;

/// What linears cost in one structure when a rank that would save nothing is stored dense.
class RankCosts
{
public:
    explicit RankCosts(Structure structure)
        : m_structure(structure)
    {}
    /// Whether factors of this rank have as many parameters as W or more.
    bool isDense(LinearShape shape, std::size_t rank) const
    {
        return m_structure.kind == StructureKind::Dense ||
               parameterCount(m_structure, shape, rank) >= shape.parameters();
    }
    std::size_t parameters(LinearShape shape, std::size_t rank) const
    {
        return isDense(shape, rank) ? shape.parameters() : parameterCount(m_structure, shape, rank);
    }
    StructureKind structure(LinearShape shape, std::size_t rank) const
    {
        return isDense(shape, rank) ? StructureKind::Dense : m_structure.kind;
    }
    /// The largest rank within a share of the parameters; min(m, n) where that is all of them or rank 1 saves nothing.
    std::size_t rankOfShare(LinearShape shape, double share) const
    {
        constexpr double everything = 1.0 - 1e-12;
        if (share >= everything || isDense(shape, 1))
            return shape.fullRank();
        return rankForKeptRatio(m_structure, shape, std::max(share, 1e-12));
    }
    /// Entries of S, 0 where dense.
    std::size_t entries(LinearShape shape, std::size_t rank) const
    {
        return isDense(shape, rank) ? 0 : m_structure.at(shape, rank).entries;
    }

private:
    Structure m_structure;
};

/// Corners of the lower convex hull of the points (parameters, weighted loss) of one linear, as far as they lower the
/// loss: the steps that a greedy allocator takes, so that a concave cost and the jump to dense are taken whole or not
/// at all. Corner 0 is where the linear starts.
struct LossHull
{
    std::vector<double> slope; ///< weighted loss saved per parameter on the way to the corner, falling; infinite at 0
    std::vector<std::size_t> rank;
    std::vector<std::size_t> parameters;
};

/// Whether an item has the losses of all ranks and a weight, all finite.
bool hasUsableCurve(const AllocationItem& item);
/// Throws Error(InvalidArgument) unless hasUsableCurve().
void requireUsableCurve(const AllocationItem& item);

/// Hull of a usable curve from `rank` on, of the points that cost at most `budget` more.
LossHull lossHull(const RankCosts& costs, const AllocationItem& item, std::size_t rank, std::size_t budget);

/// Raises the ranks of the items that are `open` from the first corners of their hulls, best loss saved per parameter
/// first (the earlier of equal items), spending at most `budget` more parameters: one step after the other, and where
/// one does not fit, the steepest that the item can still afford. `hulls` have no limit.
void raiseByMarginalLoss(const RankCosts& costs, const std::vector<AllocationItem>& items,
                         const std::vector<LossHull>& hulls, const std::vector<std::size_t>& open, std::size_t budget,
                         std::vector<std::size_t>& ranks);

} // namespace rankwright
