#include "core/base/error.h"
#include "core/tensor/dtype.h"
#include "core/tensor/instruction_set.h"
#include "core/tensor/quantised.h"

#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rankwright {

namespace {

RANKWRIGHT_INLINE std::uint16_t brainBits(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
    const std::uint32_t quiet = (bits >> 16U) | 0x40U;
    return static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded);
}

RANKWRIGHT_INLINE void brainToFloats(const std::byte* source, float* target, std::size_t count)
{
    for (std::size_t i = 0; i < count; ++i)
        target[i] = std::bit_cast<float>(std::uint32_t{readAt<std::uint16_t>(source + 2 * i)} << 16U);
}

RANKWRIGHT_INLINE void floatsToBrain(const float* source, std::byte* target, std::size_t count)
{
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint16_t bits = brainBits(source[i]);
        std::memcpy(target + 2 * i, &bits, sizeof(bits));
    }
}

RANKWRIGHT_INLINE void doublesToFloats(const std::byte* source, float* target, std::size_t count)
{
    for (std::size_t i = 0; i < count; ++i)
        target[i] = static_cast<float>(readAt<double>(source + 8 * i));
}

void halfToFloats(const std::byte* source, float* target, std::size_t count)
{
    for (std::size_t i = 0; i < count; ++i)
        target[i] = halfToFloat(readAt<std::uint16_t>(source + 2 * i));
}

void floatsToHalf(const float* source, std::byte* target, std::size_t count)
{
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint16_t bits = floatToHalf(source[i]);
        std::memcpy(target + 2 * i, &bits, sizeof(bits));
    }
}

void decodeBase(DType dtype, const std::byte* source, float* target, std::size_t count)
{
    switch (dtype) {
    case DType::BF16:
        return brainToFloats(source, target, count);
    case DType::F16:
        return halfToFloats(source, target, count);
    default:
        return doublesToFloats(source, target, count);
    }
}

void encodeBase(DType dtype, const float* source, std::byte* target, std::size_t count)
{
    if (dtype == DType::F16)
        floatsToHalf(source, target, count);
    else
        floatsToBrain(source, target, count);
}

#if defined(__x86_64__)

RANKWRIGHT_AVX2 void halfToFloatsAvx2(const std::byte* source, float* target, std::size_t count)
{
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i halves;
        std::memcpy(&halves, source + 2 * i, sizeof(halves));
        _mm256_storeu_ps(target + i, _mm256_cvtph_ps(halves));
    }
    halfToFloats(source + 2 * i, target + i, count - i);
}

RANKWRIGHT_AVX2 void floatsToHalfAvx2(const float* source, std::byte* target, std::size_t count)
{
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT);
        std::memcpy(target + 2 * i, &halves, sizeof(halves));
    }
    floatsToHalf(source + i, target + 2 * i, count - i);
}

RANKWRIGHT_AVX2 void decodeAvx2(DType dtype, const std::byte* source, float* target, std::size_t count)
{
    switch (dtype) {
    case DType::BF16:
        return brainToFloats(source, target, count);
    case DType::F16:
        return halfToFloatsAvx2(source, target, count);
    default:
        return doublesToFloats(source, target, count);
    }
}

RANKWRIGHT_AVX2 void encodeAvx2(DType dtype, const float* source, std::byte* target, std::size_t count)
{
    if (dtype == DType::F16)
        floatsToHalfAvx2(source, target, count);
    else
        floatsToBrain(source, target, count);
}

#else

constexpr auto decodeAvx2 = decodeBase;
constexpr auto encodeAvx2 = encodeBase;

#endif

} // namespace

float halfToFloat(std::uint16_t half)
{
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t exponent = (half >> 10U) & 0x1FU;
    const std::uint32_t mantissa = half & 0x3FFU;
    if (exponent == 0)
        return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(mantissa) * 0x1p-24F));
    if (exponent == 31) // a signalling NaN becomes quiet, as in hardware
        return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13U) | (mantissa != 0 ? 0x400000U : 0U));
    return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (mantissa << 13U));
}

std::uint16_t floatToHalf(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (bits >> 16U) & 0x8000U;
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U)
        return static_cast<std::uint16_t>(sign | 0x7E00U | ((magnitude >> 13U) & 0x3FFU));
    if (magnitude >= 0x477FF000U) // rounds to 65536 or more
        return static_cast<std::uint16_t>(sign | 0x7C00U);
    if (magnitude < 0x38800000U) {
        // Adding 2^-1 shifts the multiples of 2^-24, the subnormal halves, into the low bits and rounds to even.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
        return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
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
    if (values.empty())
        return;
    if (dtype == DType::F32)
        std::memcpy(values.data(), data.data(), data.size());
    else if (elementsPerBlock(dtype) > 1)
        dequantise(dtype, data.data(), values.size() / elementsPerBlock(dtype), values.data());
    else
        (hasAvx2() ? decodeAvx2 : decodeBase)(dtype, data.data(), values.data(), values.size());
}

void convertFromFloat(std::span<const float> values, DType dtype, std::span<std::byte> data)
{
    if (dtype != DType::F32 && dtype != DType::F16 && dtype != DType::BF16)
        throw Error(ErrorKind::Unsupported, fmt::format("weights cannot be written as {}", dtypeName(dtype)));
    if (data.size() != bytesFor(dtype, values.size()))
        throw Error(ErrorKind::Internal, "conversion buffer of the wrong size");
    if (values.empty())
        return;
    if (dtype == DType::F32)
        std::memcpy(data.data(), values.data(), data.size());
    else
        (hasAvx2() ? encodeAvx2 : encodeBase)(dtype, values.data(), data.data(), values.size());
}

namespace {

template <typename T>
std::size_t readIntegers(std::span<const std::byte> data, std::span<std::int32_t> values)
{
    for (std::size_t i = 0; i < values.size(); ++i) {
        T value;
        std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
        if (!std::in_range<std::int32_t>(value))
            return i;
        values[i] = static_cast<std::int32_t>(value);
    }
    return values.size();
}

template <typename T>
void writeIntegers(std::span<const std::int32_t> values, DType dtype, std::span<std::byte> data)
{
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!std::in_range<T>(values[i]))
            throw Error(ErrorKind::Internal, fmt::format("{} is no {}", values[i], dtypeName(dtype)));
        const T value = static_cast<T>(values[i]);
        std::memcpy(data.data() + i * sizeof(T), &value, sizeof(T));
    }
}

} // namespace

std::size_t convertToIntegers(DType dtype, std::span<const std::byte> data, std::span<std::int32_t> values)
{
    const auto read = [&](auto convert) {
        if (data.size() != bytesFor(dtype, values.size()))
            throw Error(ErrorKind::Corrupt, fmt::format("{} bytes cannot hold {} {} elements", data.size(),
                                                        values.size(), dtypeName(dtype)));
        return convert(data, values);
    };
    switch (dtype) {
    case DType::I64:
        return read(readIntegers<std::int64_t>);
    case DType::I32:
        return read(readIntegers<std::int32_t>);
    case DType::I16:
        return read(readIntegers<std::int16_t>);
    case DType::I8:
        return read(readIntegers<std::int8_t>);
    case DType::U8:
        return read(readIntegers<std::uint8_t>);
    default:
        throw Error(ErrorKind::Unsupported, fmt::format("{} values where integers are needed", dtypeName(dtype)));
    }
}

void convertFromIntegers(std::span<const std::int32_t> values, DType dtype, std::span<std::byte> data)
{
    const auto write = [&](auto convert) {
        if (data.size() != bytesFor(dtype, values.size()))
            throw Error(ErrorKind::Internal, "conversion buffer of the wrong size");
        convert(values, dtype, data);
    };
    switch (dtype) {
    case DType::I32:
        return write(writeIntegers<std::int32_t>);
    case DType::I16:
        return write(writeIntegers<std::int16_t>);
    case DType::U8:
        return write(writeIntegers<std::uint8_t>);
    default:
        throw Error(ErrorKind::Unsupported, fmt::format("integers cannot be written as {}", dtypeName(dtype)));
    }
}

} // namespace rankwright
