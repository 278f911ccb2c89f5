#include "core/tensor/dtype.h"

#include "core/base/bytes.h"
#include "core/base/error.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace rankwright {

namespace {

constexpr std::size_t blockLength = 32;

template <typename T>
T readAt(const std::byte* data)
{
    T value;
    std::memcpy(&value, data, sizeof(T));
    return value;
}

std::uint16_t floatToBrain(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (std::isnan(value))
        return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

void dequantise(DType dtype, std::span<const std::byte> data, std::span<float> values)
{
    const std::size_t size = bytesPerBlock(dtype);
    for (std::size_t block = 0; block < values.size() / blockLength; ++block) {
        const std::byte* source = data.data() + block * size;
        float* target = values.data() + block * blockLength;
        const float d = halfToFloat(readAt<std::uint16_t>(source));
        if (dtype == DType::Q8_0) {
            for (std::size_t i = 0; i < blockLength; ++i)
                target[i] = d * static_cast<float>(readAt<std::int8_t>(source + 2 + i));
            continue;
        }
        const bool hasMinimum = dtype == DType::Q4_1;
        const float offset = hasMinimum ? halfToFloat(readAt<std::uint16_t>(source + 2)) : -8.0F * d;
        const std::byte* nibbles = source + (hasMinimum ? 4 : 2);
        for (std::size_t i = 0; i < blockLength / 2; ++i) {
            const auto packed = std::to_integer<unsigned>(nibbles[i]);
            target[i] = d * static_cast<float>(packed & 0xFU) + offset;
            target[i + blockLength / 2] = d * static_cast<float>(packed >> 4U) + offset;
        }
    }
}

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

float halfToFloat(std::uint16_t half)
{
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t exponent = (half >> 10U) & 0x1FU;
    const std::uint32_t mantissa = half & 0x3FFU;
    if (exponent == 0)
        return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(mantissa) * 0x1p-24F));
    if (exponent == 31)
        return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13U));
    return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (mantissa << 13U));
}

std::uint16_t floatToHalf(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U)
        return static_cast<std::uint16_t>(sign | 0x7E00U);
    if (magnitude >= 0x477FF000U) // rounds to 65536 or more
        return static_cast<std::uint16_t>(sign | 0x7C00U);
    if (magnitude < 0x38800000U) { // subnormal half: multiples of 2^-24
        const float scaled = std::bit_cast<float>(magnitude) * 0x1p24F;
        return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(std::nearbyint(scaled)));
    }
    const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13U) & 1U);
    return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13U));
}

void convertToFloat(DType dtype, std::span<const std::byte> data, std::span<float> values)
{
    if (!isFloating(dtype))
        throw Error(ErrorKind::Unsupported, fmt::format("{} data cannot be weights", dtypeName(dtype)));
    if (data.size() != bytesFor(dtype, values.size()))
        throw Error(ErrorKind::Corrupt,
                    fmt::format("{} bytes cannot hold {} {} elements", data.size(), values.size(), dtypeName(dtype)));
    switch (dtype) {
    case DType::F32:
        if (!values.empty())
            std::memcpy(values.data(), data.data(), data.size());
        return;
    case DType::BF16:
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = std::bit_cast<float>(std::uint32_t{readAt<std::uint16_t>(data.data() + 2 * i)} << 16U);
        return;
    case DType::F16:
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = halfToFloat(readAt<std::uint16_t>(data.data() + 2 * i));
        return;
    case DType::F64:
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = static_cast<float>(readAt<double>(data.data() + 8 * i));
        return;
    default:
        dequantise(dtype, data, values);
        return;
    }
}

void convertFromFloat(std::span<const float> values, DType dtype, std::span<std::byte> data)
{
    if (data.size() != bytesFor(dtype, values.size()))
        throw Error(ErrorKind::Internal, "conversion buffer of the wrong size");
    if (values.empty())
        return;
    switch (dtype) {
    case DType::F32:
        std::memcpy(data.data(), values.data(), data.size());
        return;
    case DType::BF16:
    case DType::F16:
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::uint16_t bits = dtype == DType::F16 ? floatToHalf(values[i]) : floatToBrain(values[i]);
            std::memcpy(data.data() + 2 * i, &bits, sizeof(bits));
        }
        return;
    default:
        throw Error(ErrorKind::Unsupported, fmt::format("weights cannot be written as {}", dtypeName(dtype)));
    }
}

} // namespace rankwright
