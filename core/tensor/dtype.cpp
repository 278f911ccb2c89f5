#include "core/tensor/dtype.h"

#include "core/base/bytes.h"
#include "core/base/error.h"

#include <array>
#include <fmt/format.h>

namespace rankwright {

namespace {

struct Format
{
    DType dtype;
    std::string_view name;
    std::size_t elements; ///< per block
    std::size_t bytes;    ///< per block
    bool floating;
};

constexpr std::array formats = {
    Format{DType::F64, "F64", 1, 8, true},         Format{DType::F32, "F32", 1, 4, true},
    Format{DType::F16, "F16", 1, 2, true},         Format{DType::BF16, "BF16", 1, 2, true},
    Format{DType::I64, "I64", 1, 8, false},        Format{DType::I32, "I32", 1, 4, false},
    Format{DType::I16, "I16", 1, 2, false},        Format{DType::I8, "I8", 1, 1, false},
    Format{DType::U8, "U8", 1, 1, false},          Format{DType::Bool, "BOOL", 1, 1, false},
    Format{DType::Q8_0, "Q8_0", 32, 34, true},     Format{DType::Q4_0, "Q4_0", 32, 18, true},
    Format{DType::Q4_1, "Q4_1", 32, 20, true},     Format{DType::Q5_0, "Q5_0", 32, 22, true},
    Format{DType::Q5_1, "Q5_1", 32, 24, true},     Format{DType::Q2_K, "Q2_K", 256, 84, true},
    Format{DType::Q3_K, "Q3_K", 256, 110, true},   Format{DType::Q4_K, "Q4_K", 256, 144, true},
    Format{DType::Q5_K, "Q5_K", 256, 176, true},   Format{DType::Q6_K, "Q6_K", 256, 210, true},
    Format{DType::IQ4_NL, "IQ4_NL", 32, 18, true}, Format{DType::IQ4_XS, "IQ4_XS", 256, 136, true},
};

constexpr bool inOrder()
{
    for (std::size_t i = 0; i < formats.size(); ++i) {
        if (static_cast<std::size_t>(formats[i].dtype) != i)
            return false;
    }
    return true;
}
static_assert(inOrder(), "a row per DType, in its order");

const Format& formatOf(DType dtype)
{
    return formats.at(static_cast<std::size_t>(dtype));
}

} // namespace

std::string_view dtypeName(DType dtype)
{
    return formatOf(dtype).name;
}

std::size_t elementsPerBlock(DType dtype)
{
    return formatOf(dtype).elements;
}

std::size_t bytesPerBlock(DType dtype)
{
    return formatOf(dtype).bytes;
}

bool isFloating(DType dtype)
{
    return formatOf(dtype).floating;
}

std::size_t bytesFor(DType dtype, std::size_t elements)
{
    const std::size_t block = elementsPerBlock(dtype);
    if (elements % block != 0)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("{} elements do not fill {} blocks of {}", elements, dtypeName(dtype), block));
    return checkedProduct(elements / block, bytesPerBlock(dtype), "tensor size");
}

} // namespace rankwright
