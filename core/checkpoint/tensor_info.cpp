#include "core/checkpoint/tensor_info.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <span>

namespace rankwright {

std::size_t TensorInfo::elements() const
{
    std::size_t product = 1;
    for (const std::size_t dimension : shape)
        product *= dimension;
    return product;
}

std::string shapeText(const std::vector<std::size_t>& shape)
{
    if (shape.empty())
        return "scalar";
    // A hostile header can state any number of them.
    constexpr std::size_t shown = 8;
    const std::span<const std::size_t> first(shape.data(), std::min(shown, shape.size()));
    const std::string text = fmt::format("{}", fmt::join(first, "x"));
    return shape.size() > shown ? fmt::format("{}x... ({} dimensions)", text, shape.size()) : text;
}

} // namespace rankwright
