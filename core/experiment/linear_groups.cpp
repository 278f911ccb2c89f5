#include "core/experiment/linear_groups.h"

#include "core/base/error.h"
#include "core/model/architecture.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <set>

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

void checkMethod(const Method& method, const Model& model)
{
    method.checkAttention(attentionGeometry(model.config()));
    const std::vector<std::vector<Role>> groups = method.groups();
    std::set<std::string_view> missing;
    for (const std::vector<Role>& roles : groups) {
        const std::size_t before = missing.size();
        for (const Role role : roles)
            if (!hasRole(model.config(), role))
                missing.insert(roleName(role));
        if (missing.size() == before)
            return;
    }
    if (!groups.empty())
        throw Error(ErrorKind::Unsupported,
                    fmt::format("method {} joins linears that blocks of this {} model do not have ({}); use "
                                "whitened-svd",
                                method.name(), model.config().architecture, fmt::join(missing, ", ")),
                    {.file = model.checkpoint().path()});
}

std::vector<const LinearInfo*> groupOf(const Model& model, const Method& method, const LinearInfo& info)
{
    std::vector<const LinearInfo*> group;
    for (const std::vector<Role>& roles : method.groups()) {
        if (std::find(roles.begin(), roles.end(), info.role) == roles.end())
            continue;
        if (!std::all_of(roles.begin(), roles.end(), [&](Role role) { return hasRole(model.config(), role); }))
            continue;
        for (const Role role : roles)
            group.push_back(&model.linear(info.block, role));
    }
    return group;
}

LinearShape shapeOfGroup(std::span<const LinearInfo* const> group)
{
    LinearShape shape = group.front()->shape;
    std::size_t parameters = 0;
    for (const LinearInfo* info : group)
        parameters += info->shape.parameters();
    shape.rows = parameters / shape.columns;
    return shape;
}

std::size_t statisticsTap(const Model& model, const Method& method, const LinearInfo& info)
{
    const std::vector<const LinearInfo*> group = groupOf(model, method, info);
    return group.empty() ? info.tap : group.front()->tap;
}

LoadedGroup loadGroup(const Model& model, const Device& device, const std::vector<const LinearInfo*>& group,
                      const TapStatistics* statistics, const CalibrationSet* gradients)
{
    LoadedGroup loaded{.problem = {.members = {}, .attention = attentionGeometry(model.config())}, .gradients = {}};
    for (const LinearInfo* info : group) {
        LoadedLinear linear = loadLinear(model, device, *info);
        loaded.problem.members.push_back({info->role,
                                          {.name = info->name,
                                           .W = std::move(linear.W),
                                           .statistics = info->tap == group.front()->tap ? statistics : nullptr,
                                           .bias = std::move(linear.bias)}});
        if (gradients != nullptr)
            loaded.gradients.push_back(gradients->load(info->index));
    }
    for (std::size_t i = 0; i < loaded.gradients.size(); ++i)
        loaded.problem.members[i].problem.gradients = &loaded.gradients[i];
    return loaded;
}

std::vector<std::vector<std::size_t>> rankedTogether(const Model& model, const Method& method,
                                                     std::span<const LinearInfo* const> linears)
{
    std::vector<std::vector<std::size_t>> result;
    for (std::size_t position = 0; position < linears.size(); ++position) {
        const LinearInfo& info = *linears[position];
        std::vector<const LinearInfo*> group;
        if (method.sharesLatents())
            group = groupOf(model, method, info);
        if (group.empty()) {
            result.push_back({position});
            continue;
        }
        const auto there = [&](const LinearInfo* member) {
            return std::find(linears.begin(), linears.end(), member) != linears.end();
        };
        if (!std::all_of(group.begin(), group.end(), there)) {
            std::vector<std::string> names;
            names.reserve(group.size());
            for (const LinearInfo* member : group)
                names.push_back(member->name);
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("method {} gives these linears one set of latents: choose all of them or none: {}",
                                    method.name(), fmt::join(names, ", ")),
                        {.file = {}, .tensor = info.name});
        }
        if (&info == group.front())
            result.push_back({});
        result.back().push_back(position);
    }
    return result;
}

AllocationItem itemOf(std::span<const LinearInfo* const> together)
{
    const LinearInfo& first = *together.front();
    AllocationItem item{.name = first.name,
                        .shape = first.shape,
                        .loss = {},
                        .weight = 1.0,
                        .rank = {},
                        .block = first.block,
                        .role = std::string(roleName(first.role))};
    if (together.size() == 1)
        return item;
    item.sharing.push_back({first.name, first.shape});
    for (const LinearInfo* info : together.subspan(1)) {
        item.name += fmt::format(" + {}", info->name);
        item.shape.rows += info->shape.rows;
        item.role += fmt::format("+{}", roleName(info->role));
        item.sharing.push_back({info->name, info->shape});
    }
    return item;
}

} // namespace rankwright
