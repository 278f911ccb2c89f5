#include "core/allocation/allocation.h"

#include "core/allocation/rank_planner.h"

namespace rankwright {

void AllocationItem::setRelativeLoss(std::vector<double> curve)
{
    loss = std::move(curve);
    weight = !loss.empty() && loss.front() > 0.0 ? 1.0 / loss.front() : 0.0;
}

std::vector<std::string_view> allocatorNames()
{
    return {"uniform", "marginal-loss"};
}

AllocationPlan allocate(std::string_view allocator, StructureKind structure, double keptRatio,
                        const std::vector<AllocationItem>& items)
{
    return RankPlanner(structure, items).plan(allocator, keptRatio);
}

} // namespace rankwright
