#include "core/experiment/recompression.h"

#include "core/allocation/plan_totals.h"
#include "core/base/event_kinds.h"
#include "core/experiment/run_job.h"

#include <algorithm>
#include <fmt/format.h>

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
    const auto share = [](std::size_t part, std::size_t whole) {
        return static_cast<double>(part) / static_cast<double>(whole);
    };
    const double ratio = share(parameters, model.parameterCount());
    return NumericEvent{eventKind::storesMore, "",
                        fmt::format("{} parameters are stored, {:.2f} % of what the checkpoint has: its linears are in "
                                    "factors of {:.2f} % of the dense parameters already, and kept ratios are of the "
                                    "dense ones; keep less than that for a smaller model",
                                    parameters, 100.0 * ratio, 100.0 * share(before, dense)),
                        ratio};
}

std::vector<NumericEvent> plannedEvents(const Recipe& recipe, const Model& model)
{
    const std::vector<const LinearInfo*> linears = chosenLinears(model, recipe);
    if (!anyInFactors(linears))
        return {};
    const AllocationPlan plan = firstPlan(recipe, rankedItems(model, recipe, linears));
    std::optional<NumericEvent> note =
        growthNote(model, linears, planTotals(model, linears, plan, recipe.storage).wholeModelParameters);
    if (!note)
        return {};
    if (!findAllocator(recipe.allocation).needsShapesOnly())
        note->message.insert(0, "with uniform ranks ");
    return {*std::move(note)};
}

} // namespace rankwright
