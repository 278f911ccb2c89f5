#pragma once

#include "core/allocation/allocation.h"
#include "core/model/model.h"

#include <limits>
#include <span>

namespace rankwright {

/// What the checkpoint of a model holds in all.
struct ModelTotals
{
    std::size_t parameters = 0; ///< a tied head counts once
    std::size_t bytes = 0;      ///< of all tensors
};
ModelTotals modelTotals(const Model& model);

/// What one linear costs at a planned rank, and before.
struct LinearCost
{
    std::size_t denseParameters = 0;  ///< m n
    std::size_t keptParameters = 0;   ///< as it will be stored
    std::size_t parametersBefore = 0; ///< as the checkpoint stores it: fewer than m n in exports of this program
    std::size_t bytes = 0;            ///< as it will be stored
    std::size_t bytesBefore = 0;
    double relativeLoss = std::numeric_limits<double>::quiet_NaN(); ///< loss / loss of rank 0; NaN: not known
};
/// `stored` Dense: the linear stays as the checkpoint stores it. `storage` is the dtype of new factors.
LinearCost linearCost(const LinearInfo& linear, StoredRank stored, DType storage,
                      double relativeLoss = std::numeric_limits<double>::quiet_NaN());
/// loss[rank] / loss[0] of a curve of rank 0 .. min(m, n); 0 for Dense and for a linear without energy, NaN without a
/// curve or for a rank beyond it.
double relativeLoss(std::span<const double> loss, StructureKind structure, std::size_t rank);

/// What a plan amounts to. Equal for window, command line and a run of the plan: integers exactly, the loss where it
/// comes from the same curves.
struct PlanTotals
{
    std::size_t keptParameters = 0; ///< of the planned linears
    std::size_t denseParameters = 0;
    double keptRatio = 0.0;
    std::size_t wholeModelParameters = 0;
    double wholeModelRatio = 0.0;
    std::size_t bytes = 0;     ///< weights of the whole compressed model as stored
    double relativeLoss = 0.0; ///< mean over the planned linears; NaN where one is not known
};
/// Sums a plan; under a microsecond for hundreds of linears. A change of one linear is one new LinearCost.
PlanTotals planTotals(const ModelTotals& model, std::span<const LinearCost> linears);

/// What a linear that is not replaced is stored as in the end: as the checkpoint has it, or with an A of its own where
/// it shares the latents of a linear that is replaced (Model::withLinears()).
StoredRank storedWhereLeft(const Model& model, const LinearInfo& linear, bool ownerReplaced);
/// Sums a plan for some linears of a model, stored[i] and relativeLosses[i] of *linears[i] as in linearCost(), with
/// what other linears take more that lose the latents they share.
PlanTotals planTotals(const Model& model, std::span<const LinearInfo* const> linears,
                      std::span<const StoredRank> stored, DType storage, std::span<const double> relativeLosses);
/// Of a plan for these linears, without losses: relativeLoss is NaN.
PlanTotals planTotals(const Model& model, std::span<const LinearInfo* const> linears, const AllocationPlan& plan,
                      DType storage);

} // namespace rankwright
