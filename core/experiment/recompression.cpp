#include "core/experiment/recompression.h"

#include "core/allocation/plan_totals.h"
#include "core/experiment/run_job.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace rankwright {

namespace {

bool anyInFactors(std::span<const LinearInfo* const> linears)
{
    return std::ranges::any_of(linears, [](const LinearInfo* info) { return info->structure != StructureKind::Dense; });
}

} // namespace

std::optional<NumericEvent> growthNote(const Model& model, std::span<const LinearInfo* const> linears,
                                       std::size_t parameters)
{
    if (parameters <= model.parameterCount() || !anyInFactors(linears))
        return std::nullopt;
    std::size_t before = 0;
    std::size_t dense = 0;
    for (const LinearInfo* info : linears) {
        before += parameterCount(info->stored(), info->shape);
        dense += info->shape.parameters();
    }
    const auto percentOf = [](std::size_t part, std::size_t whole) {
        return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
    };
    const double ratio = percentOf(parameters, model.parameterCount());
    return NumericEvent{"storesMore", "",
                        fmt::format("{} parameters are stored, {:.2f} % of what the checkpoint has: its linears are in "
                                    "factors of {:.2f} % of the dense parameters already, and kept ratios are of the "
                                    "dense ones; keep less than that for a smaller model",
                                    parameters, ratio, percentOf(before, dense)),
                        ratio / 100.0};
}

std::optional<NumericEvent> plannedGrowth(const Recipe& recipe, const Model& model)
{
    const std::vector<const LinearInfo*> linears = chosenLinears(model, recipe);
    if (!anyInFactors(linears))
        return std::nullopt;
    const AllocationPlan plan = firstPlan(recipe, rankedItems(model, recipe, linears));
    std::vector<StoredRank> stored;
    stored.reserve(plan.ranks.size());
    for (const AllocatedRank& rank : plan.ranks)
        stored.push_back(rank.stored());
    const std::vector<double> losses(linears.size());
    std::optional<NumericEvent> note =
        growthNote(model, linears, planTotals(model, linears, stored, recipe.storage, losses).wholeModelParameters);
    if (note && !findAllocator(recipe.allocation).needsShapesOnly())
        note->message.insert(0, "with uniform ranks ");
    return note;
}

} // namespace rankwright
