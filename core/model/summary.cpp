#include "core/model/summary.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

namespace rankwright {

std::size_t weightBytes(const Model& model)
{
    std::size_t bytes = 0;
    for (const TensorInfo& tensor : model.checkpoint().tensors())
        bytes += tensor.bytes;
    return bytes;
}

std::string weightTypes(const Model& model)
{
    std::map<std::string_view, std::size_t> bytes;
    for (const TensorInfo& tensor : model.checkpoint().tensors())
        bytes[dtypeName(tensor.dtype)] += tensor.bytes;
    std::vector<std::pair<std::size_t, std::string_view>> order;
    order.reserve(bytes.size());
    for (const auto& [name, size] : bytes)
        order.emplace_back(size, name);
    std::ranges::sort(order, std::greater());
    std::string result;
    for (const auto& [size, name] : order)
        result += fmt::format("{}{}", result.empty() ? "" : ", ", name);
    return result;
}

CacheWidth cacheWidth(const Model& model)
{
    CacheWidth width;
    for (const LinearInfo& linear : model.linears()) {
        if (linear.role != Role::K && linear.role != Role::V)
            continue;
        width.expanded += linear.shape.rows;
        width.latent +=
            linear.structure == StructureKind::Dense ? linear.shape.rows : std::min(linear.rank, linear.shape.rows);
    }
    return width;
}

} // namespace rankwright
