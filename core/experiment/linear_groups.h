#pragma once

#include "core/allocation/allocation.h"
#include "core/calibration/statistics.h"
#include "core/decomposition/group.h"
#include "core/model/model.h"

#include <span>
#include <vector>

namespace rankwright {

/// A linear of a model as the methods take it.
struct LoadedLinear
{
    Matrix<double> W; ///< m x n; the float64 product where the checkpoint stores factors
    std::vector<float> bias;
};
/// Throws as Model::readLinear().
LoadedLinear loadLinear(const Model& model, const Device& device, const LinearInfo& info);

/// Throws Error(Unsupported) naming why the method does not fit the model: what Method::checkAttention() throws, and
/// where blocks have not the linears of any of its groups.
void checkMethod(const Method& method, const Model& model);

/// The linears of its block that `method` treats together with `info`, in the method's order; empty where it treats
/// `info` alone.
std::vector<const LinearInfo*> groupOf(const Model& model, const Method& method, const LinearInfo& info);

/// What a group reads, as one linear: its inputs are those of the first, and it has the parameters of all.
LinearShape shapeOfGroup(std::span<const LinearInfo* const> group);

/// Position in Model::taps() of the statistics that `method` analyses `info` with: those of the first linear of its
/// group.
std::size_t statisticsTap(const Model& model, const Method& method, const LinearInfo& info);

/// The linears of a group, and gradients for its members to point to.
struct LoadedGroup
{
    GroupProblem problem;
    std::vector<TapStatistics> gradients;
};
/// Reads the linears of a group; `statistics` are those of statisticsTap(), `gradients` those of all linears or null.
/// Throws as Model::readLinear() and CalibrationSet::load().
LoadedGroup loadGroup(const Model& model, const Device& device, const std::vector<const LinearInfo*>& group,
                      const TapStatistics* statistics, const CalibrationSet* gradients = nullptr);

/// What gets one rank of its own, as positions in `linears`: a linear, or linears of a method that share their latents.
/// In the order of `linears`, which is that of the model. Throws Error(InvalidArgument) where only some of a group that
/// shares its latents are there.
std::vector<std::vector<std::size_t>> rankedTogether(const Model& model, const Method& method,
                                                     std::span<const LinearInfo* const> linears);
/// The item of a plan for linears that have one rank, without losses.
AllocationItem itemOf(std::span<const LinearInfo* const> together);

} // namespace rankwright
