#include "core/checkpoint/tensor_info.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
    return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

} // namespace rankwright
