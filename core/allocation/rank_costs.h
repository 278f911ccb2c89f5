#pragma once

#include "core/allocation/allocation.h"

namespace rankwright {

/// What linears cost in one structure when a rank that would save nothing is stored dense.
class RankCosts
{
public:
    explicit RankCosts(StructureKind structure)
        : m_structure(structure)
    {}
    /// Whether factors of this rank have as many parameters as W or more.
    bool isDense(LinearShape shape, std::size_t rank) const
    {
        return m_structure == StructureKind::Dense || parameterCount(m_structure, shape, rank) >= shape.parameters();
    }
    std::size_t parameters(LinearShape shape, std::size_t rank) const
    {
        return isDense(shape, rank) ? shape.parameters() : parameterCount(m_structure, shape, rank);
    }
    StructureKind structure(LinearShape shape, std::size_t rank) const
    {
        return isDense(shape, rank) ? StructureKind::Dense : m_structure;
    }

private:
    StructureKind m_structure;
};

/// Raises `ranks` of the items with no rank set by hand from where they are, best loss saved per parameter first,
/// spending at most `budget` more parameters. Steps are those of the lower convex hull of (parameters, weighted loss),
/// so that a concave cost and the jump to dense are taken whole or not at all; the last parameters go to whatever still
/// fits. Throws Error(InvalidArgument) for curves of the wrong length or with values that are not finite.
void raiseByMarginalLoss(const RankCosts& costs, const std::vector<AllocationItem>& items, std::size_t budget,
                         std::vector<std::size_t>& ranks);

} // namespace rankwright
