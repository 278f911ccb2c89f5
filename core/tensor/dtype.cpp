#include "core/tensor/dtype.h"

#include "core/base/bytes.h"
#include "core/base/error.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

constexpr std::size_t blockLength = 32;

} // namespace

std::string_view dtypeName(DType dtype)
{
    switch (dtype) {
    case DType::F64:
        return "F64";
    case DType::F32:
        return "F32";
    case DType::F16:
        return "F16";
    case DType::BF16:
        return "BF16";
    case DType::I64:
        return "I64";
    case DType::I32:
        return "I32";
    case DType::I16:
        return "I16";
    case DType::I8:
        return "I8";
    case DType::U8:
        return "U8";
    case DType::Bool:
        return "BOOL";
    case DType::Q8_0:
        return "Q8_0";
    case DType::Q4_0:
        return "Q4_0";
    case DType::Q4_1:
        return "Q4_1";
    }
    return "?";
}

std::size_t elementsPerBlock(DType dtype)
{
    return dtype == DType::Q8_0 || dtype == DType::Q4_0 || dtype == DType::Q4_1 ? blockLength : 1;
}

std::size_t bytesPerBlock(DType dtype)
{
    switch (dtype) {
    case DType::F64:
    case DType::I64:
        return 8;
    case DType::F32:
    case DType::I32:
        return 4;
    case DType::F16:
    case DType::BF16:
    case DType::I16:
        return 2;
    case DType::I8:
    case DType::U8:
    case DType::Bool:
        return 1;
    case DType::Q8_0:
        return 34;
    case DType::Q4_0:
        return 18;
    case DType::Q4_1:
        return 20;
    }
    return 1;
}

std::size_t bytesFor(DType dtype, std::size_t elements)
{
    const std::size_t block = elementsPerBlock(dtype);
    if (elements % block != 0)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("{} elements do not fill {} blocks of {}", elements, dtypeName(dtype), block));
    return checkedProduct(elements / block, bytesPerBlock(dtype), "tensor size");
}

bool isFloating(DType dtype)
{
    switch (dtype) {
    case DType::I64:
    case DType::I32:
    case DType::I16:
    case DType::I8:
    case DType::U8:
    case DType::Bool:
        return false;
    default:
        return true;
    }
}

} // namespace rankwright
