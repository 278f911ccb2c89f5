#pragma once

#include "core/decomposition/group.h"
#include "core/model/model.h"

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

/// The linears of its block that `method` treats together with `info`, in the method's order; empty where it treats
/// `info` alone.
std::vector<const LinearInfo*> groupOf(const Model& model, const Method& method, const LinearInfo& info);

/// Position in Model::taps() of the statistics that `method` analyses `info` with: those of the first linear of its
/// group.
std::size_t statisticsTap(const Model& model, const Method& method, const LinearInfo& info);

/// Reads the linears of a group; `statistics` are those of statisticsTap(). Throws as Model::readLinear().
GroupProblem loadGroup(const Model& model, const Device& device, const std::vector<const LinearInfo*>& group,
                       const TapStatistics* statistics);

} // namespace rankwright
