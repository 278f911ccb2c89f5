#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace rankwright {

/// Element types of tensors in files. The Q and IQ types are GGUF blocks: of 256 elements those called K and XS, of 32
/// the others.
enum class DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    IQ4_XS
};

/// "F32", "BF16", "Q4_1", ...
std::string_view dtypeName(DType dtype);

/// Elements per block: 1 for all but the Q and IQ types.
std::size_t elementsPerBlock(DType dtype);
/// Bytes per block, scales included; the element size for types without blocks.
std::size_t bytesPerBlock(DType dtype);
/// Bytes of `elements` elements. Throws Error(Corrupt) if they do not fill blocks or overflow.
std::size_t bytesFor(DType dtype, std::size_t elements);
/// True for types that hold weights (floating point or quantised).
bool isFloating(DType dtype);

/// Converts `values.size()` elements of little-endian data to float32; F64 rounds. Q and IQ types are dequantised as in
/// GGUF (quantised.h).
/// Throws Error(Unsupported) for integer types, Error(Corrupt) if the sizes disagree.
void convertToFloat(DType dtype, std::span<const std::byte> data, std::span<float> values);

/// Converts float32 to F32, F16 or BF16 (round to nearest even; NaN stays NaN). Throws Error(Unsupported) otherwise.
void convertFromFloat(std::span<const float> values, DType dtype, std::span<std::byte> data);

/// Reads `values.size()` little-endian integers of I64, I32, I16, I8 or U8; returns how many fit 32 bits before the
/// first that does not. Throws Error(Unsupported) for another type, Error(Corrupt) if the sizes disagree.
std::size_t convertToIntegers(DType dtype, std::span<const std::byte> data, std::span<std::int32_t> values);

/// Writes integers as I32, I16 or U8. Throws Error(Unsupported) for another type, Error(Internal) for a value that it
/// cannot hold.
void convertFromIntegers(std::span<const std::int32_t> values, DType dtype, std::span<std::byte> data);

float halfToFloat(std::uint16_t half);
std::uint16_t floatToHalf(float value);

} // namespace rankwright
