#include "core/experiment/linear_groups.h"

#include <algorithm>

namespace rankwright {

LoadedLinear loadLinear(const Model& model, const Device& device, const LinearInfo& info)
{
    LinearWeights weights = model.readLinear(info);
    LoadedLinear loaded{.W = {}, .bias = std::move(weights.bias)};
    if (const auto* dense = std::get_if<DenseWeights>(&weights.form))
        loaded.W = convertMatrix<double>(dense->W);
    else
        loaded.W = expandLinear(device, weights);
    return loaded;
}

std::vector<const LinearInfo*> groupOf(const Model& model, const Method& method, const LinearInfo& info)
{
    std::vector<const LinearInfo*> group;
    for (const std::vector<Role>& roles : method.groups()) {
        if (std::find(roles.begin(), roles.end(), info.role) == roles.end())
            continue;
        for (const Role role : roles)
            group.push_back(&model.linear(info.block, role));
    }
    return group;
}

std::size_t statisticsTap(const Model& model, const Method& method, const LinearInfo& info)
{
    const std::vector<const LinearInfo*> group = groupOf(model, method, info);
    return group.empty() ? info.tap : group.front()->tap;
}

GroupProblem loadGroup(const Model& model, const Device& device, const std::vector<const LinearInfo*>& group,
                       const TapStatistics* statistics)
{
    GroupProblem problem{.members = {}, .attention = attentionGeometry(model.config())};
    for (const LinearInfo* info : group) {
        LoadedLinear linear = loadLinear(model, device, *info);
        problem.members.push_back({info->role,
                                   {.name = info->name,
                                    .W = std::move(linear.W),
                                    .statistics = info->tap == group.front()->tap ? statistics : nullptr,
                                    .bias = std::move(linear.bias)}});
    }
    return problem;
}

} // namespace rankwright
