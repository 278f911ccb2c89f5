#include "core/allocation/plan_totals.h"

#include "core/model/summary.h"

#include <vector>

namespace rankwright {

ModelTotals modelTotals(const Model& model)
{
    return {.parameters = model.parameterCount(), .bytes = weightBytes(model)};
}

LinearCost linearCost(const LinearInfo& linear, StoredRank stored, DType storage, double relativeLoss)
{
    LinearCost cost{.denseParameters = linear.shape.parameters(),
                    .parametersBefore = parameterCount(linear.stored(), linear.shape),
                    .relativeLoss = relativeLoss};
    cost.bytesBefore = storedBytes(linear.stored(), linear.shape, linear.dtype);
    if (stored.structure == StructureKind::Dense) {
        cost.keptParameters = cost.parametersBefore;
        cost.bytes = cost.bytesBefore;
    } else {
        cost.keptParameters = parameterCount(stored, linear.shape);
        cost.bytes = storedBytes(stored, linear.shape, storage);
    }
    return cost;
}

double relativeLoss(std::span<const double> loss, StructureKind structure, std::size_t rank)
{
    if (structure == StructureKind::Dense)
        return 0.0;
    if (rank >= loss.size())
        return std::numeric_limits<double>::quiet_NaN();
    return loss.front() > 0.0 ? loss[rank] / loss.front() : 0.0;
}

PlanTotals planTotals(const ModelTotals& model, std::span<const LinearCost> linears)
{
    PlanTotals totals;
    std::size_t parametersBefore = 0;
    std::size_t bytesBefore = 0;
    std::size_t bytes = 0;
    double loss = 0.0;
    for (const LinearCost& linear : linears) {
        totals.keptParameters += linear.keptParameters;
        totals.denseParameters += linear.denseParameters;
        parametersBefore += linear.parametersBefore;
        bytes += linear.bytes;
        bytesBefore += linear.bytesBefore;
        loss += linear.relativeLoss;
    }
    const auto ratio = [](std::size_t part, std::size_t whole) {
        return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
    };
    totals.keptRatio = ratio(totals.keptParameters, totals.denseParameters);
    totals.wholeModelParameters = model.parameters - parametersBefore + totals.keptParameters;
    totals.wholeModelRatio = ratio(totals.wholeModelParameters, model.parameters);
    totals.bytes = model.bytes - bytesBefore + bytes;
    totals.relativeLoss = loss / static_cast<double>(linears.size());
    return totals;
}

StoredRank storedWhereLeft(const Model& model, const LinearInfo& linear, bool ownerReplaced)
{
    StoredRank stored = linear.stored();
    if (ownerReplaced && stored.structure == StructureKind::SharedLatent)
        stored.structure = model.latentOwner(linear).structure;
    return stored;
}

PlanTotals planTotals(const Model& model, std::span<const LinearInfo* const> linears,
                      std::span<const StoredRank> stored, DType storage, std::span<const double> relativeLosses)
{
    std::vector<bool> chosen(model.linears().size());
    std::vector<bool> replaced(model.linears().size());
    for (std::size_t i = 0; i < linears.size(); ++i) {
        chosen[linears[i]->index] = true;
        replaced[linears[i]->index] = stored[i].structure != StructureKind::Dense;
    }
    // Of a linear that is not replaced, by which it grows.
    const auto grow = [&](const LinearInfo& linear, std::size_t& parameters, std::size_t& bytes) {
        const StoredRank left = storedWhereLeft(model, linear, replaced[model.latentOwner(linear).index]);
        parameters += parameterCount(left, linear.shape) - parameterCount(linear.stored(), linear.shape);
        bytes +=
            storedBytes(left, linear.shape, linear.dtype) - storedBytes(linear.stored(), linear.shape, linear.dtype);
    };
    std::vector<LinearCost> costs;
    costs.reserve(linears.size());
    for (std::size_t i = 0; i < linears.size(); ++i) {
        LinearCost& cost = costs.emplace_back(linearCost(*linears[i], stored[i], storage, relativeLosses[i]));
        if (!replaced[linears[i]->index])
            grow(*linears[i], cost.keptParameters, cost.bytes);
    }
    PlanTotals totals = planTotals(modelTotals(model), costs);
    for (const LinearInfo& linear : model.linears())
        if (!chosen[linear.index])
            grow(linear, totals.wholeModelParameters, totals.bytes);
    totals.wholeModelRatio =
        static_cast<double>(totals.wholeModelParameters) / static_cast<double>(model.parameterCount());
    return totals;
}

PlanTotals planTotals(const Model& model, std::span<const LinearInfo* const> linears, const AllocationPlan& plan,
                      DType storage)
{
    std::vector<StoredRank> stored;
    stored.reserve(plan.ranks.size());
    for (const AllocatedRank& rank : plan.ranks)
        stored.push_back(rank.stored());
    const std::vector<double> unknown(stored.size(), std::numeric_limits<double>::quiet_NaN());
    return planTotals(model, linears, stored, storage, unknown);
}

} // namespace rankwright
