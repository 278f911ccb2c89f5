#include "core/tensor/quantised.h"

#include "core/base/error.h"
#include "core/tensor/instruction_set.h"

#include <array>
#include <fmt/format.h>

namespace rankwright {

namespace {

// One function per type takes a block apart: d, m and the scales of a block of 256 times d or m in F16, q in integers.
// A product of an F16 (11 significant bits), the integer of a scale and q is exact in float32, in whichever order:
// scale and q have at most 12 bits together (Q6_K: 7 and 5; IQ4_XS: 5 and 7). Only the sum or difference with a minimum
// rounds, once, so that fused multiply-adds would change nothing. Offsets of q are taken off in integers, so that zeros
// have the signs of the reference.

/// Values of the four bits of the IQ4 types.
constexpr std::array<float, 16> iq4Values = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

RANKWRIGHT_INLINE float halfAt(const std::byte* data)
{
    return halfToFloat(readAt<std::uint16_t>(data));
}

RANKWRIGHT_INLINE int bitsAt(const std::byte* data, std::size_t shift, int mask)
{
    return readAt<std::uint8_t>(data) >> shift & mask;
}

/// target[i] = value(i) for `count` elements.
template <std::size_t count, typename Value>
RANKWRIGHT_INLINE void fill(float* __restrict target, Value value)
{
#pragma GCC unroll 1 // GCC takes loops of 16 apart, and then cannot vectorise them
    for (std::size_t i = 0; i < count; ++i)
        target[i] = value(i);
}

/// The 32 numbers of four bits in 16 bytes: the low halves of all bytes, then the high ones. `value` makes a float of
/// number and index.
template <typename Value>
RANKWRIGHT_INLINE void fillNibbles(const std::byte* packed, float* target, Value value)
{
    fill<16>(target, [=](std::size_t i) { return value(bitsAt(packed + i, 0, 15), i); });
    fill<16>(target + 16, [=](std::size_t i) { return value(bitsAt(packed + i, 4, 15), 16 + i); });
}

/// int8 q[32].
RANKWRIGHT_INLINE void q80(const std::byte* block, float* target)
{
    const float d = halfAt(block);
    fill<32>(target, [=](std::size_t i) { return d * static_cast<float>(readAt<std::int8_t>(block + 2 + i)); });
}

RANKWRIGHT_INLINE void q40(const std::byte* block, float* target)
{
    const float d = halfAt(block);
    fillNibbles(block + 2, target, [d](int q, std::size_t) { return d * static_cast<float>(q - 8); });
}

RANKWRIGHT_INLINE void q41(const std::byte* block, float* target)
{
    const float d = halfAt(block);
    const float m = halfAt(block + 2);
    fillNibbles(block + 4, target, [d, m](int q, std::size_t) { return d * static_cast<float>(q) + m; });
}

/// Four bytes of fifth bits before the nibbles.
RANKWRIGHT_INLINE void q50(const std::byte* block, float* target)
{
    const float d = halfAt(block);
    const auto high = readAt<std::uint32_t>(block + 2);
    fillNibbles(block + 6, target, [d, high](int q, std::size_t i) {
        return d * static_cast<float>((q | static_cast<int>(high >> i & 1U) << 4) - 16);
    });
}

RANKWRIGHT_INLINE void q51(const std::byte* block, float* target)
{
    const float d = halfAt(block);
    const float m = halfAt(block + 2);
    const auto high = readAt<std::uint32_t>(block + 4);
    fillNibbles(block + 8, target, [d, m, high](int q, std::size_t i) {
        return d * static_cast<float>(q | static_cast<int>(high >> i & 1U) << 4) + m;
    });
}

RANKWRIGHT_INLINE void iq4nl(const std::byte* block, float* target)
{
    const float d = halfAt(block);
    fillNibbles(block + 2, target, [d](int q, std::size_t) { return d * iq4Values[static_cast<std::size_t>(q)]; });
}

// In the blocks of 256, elements of 32 bytes are told apart by their bits: two bits of 32 bytes are 32 neighbouring
// elements, the next two bits the 32 after them.

/// 16 bytes of scales (low halves) and minima (high) for 16 elements each, 2 x 32 bytes of q in two bits, d, m.
RANKWRIGHT_INLINE void q2k(const std::byte* block, float* target)
{
    const float d = halfAt(block + 80);
    const float m = halfAt(block + 82);
    for (std::size_t part = 0; part < 16; ++part, target += 16) {
        const float scale = d * static_cast<float>(bitsAt(block + part, 0, 15));
        const float least = m * static_cast<float>(bitsAt(block + part, 4, 15));
        const std::byte* low = block + 16 + part / 8 * 32 + part % 2 * 16;
        const std::size_t shift = part / 2 % 4 * 2;
        fill<16>(target, [=](std::size_t i) { return scale * static_cast<float>(bitsAt(low + i, shift, 3)) - least; });
    }
}

/// 32 bytes of third bits, 2 x 32 bytes of q in two bits, 12 bytes of 16 scales, d. Of the scales eight bytes hold the
/// low four bits and four the high two. A third bit that is not set takes 4 off.
RANKWRIGHT_INLINE void q3k(const std::byte* block, float* target)
{
    const float d = halfAt(block + 108);
    for (std::size_t part = 0; part < 16; ++part, target += 16) {
        const int bits =
            bitsAt(block + 96 + part % 8, part / 8 * 4, 15) | bitsAt(block + 104 + part % 4, part / 4 * 2, 3) << 4;
        const float scale = d * static_cast<float>(bits - 32);
        const std::byte* high = block + part % 2 * 16;
        const std::byte* low = block + 32 + part / 8 * 32 + part % 2 * 16;
        const std::size_t shift = part / 2 % 4 * 2;
        fill<16>(target, [=](std::size_t i) {
            return scale * static_cast<float>((bitsAt(low + i, shift, 3) | bitsAt(high + i, part / 2, 1) << 2) - 4);
        });
    }
}

/// Scale and minimum of part 0 to 7 in the 12 bytes of Q4_K and Q5_K: six bits each, those of parts 0 to 3 the low bits
/// of bytes 0 to 3 (scales) and 4 to 7 (minima); those of parts 4 to 7 have their low four bits in bytes 8 to 11 and
/// the high two above those of parts 0 to 3.
struct ScaleBits
{
    int scale = 0;
    int least = 0;
};

RANKWRIGHT_INLINE ScaleBits scaleBits(const std::byte* scales, std::size_t part)
{
    if (part < 4)
        return {bitsAt(scales + part, 0, 63), bitsAt(scales + part + 4, 0, 63)};
    return {bitsAt(scales + part + 4, 0, 15) | bitsAt(scales + part - 4, 6, 3) << 4,
            bitsAt(scales + part + 4, 4, 15) | bitsAt(scales + part, 6, 3) << 4};
}

/// d, m and 12 bytes of scales and minima for 32 elements each. `number` makes q of part and index.
template <typename Number>
RANKWRIGHT_INLINE void fillScaled(const std::byte* block, float* target, Number number)
{
    const float d = halfAt(block);
    const float m = halfAt(block + 2);
    for (std::size_t part = 0; part < 8; ++part, target += 32) {
        const ScaleBits bits = scaleBits(block + 4, part);
        const float scale = d * static_cast<float>(bits.scale);
        const float least = m * static_cast<float>(bits.least);
        fill<32>(target, [=](std::size_t i) { return scale * static_cast<float>(number(part, i)) - least; });
    }
}

/// Four bits of q in 4 x 32 bytes.
RANKWRIGHT_INLINE int nibble(const std::byte* low, std::size_t part, std::size_t i)
{
    return bitsAt(low + part / 2 * 32 + i, part % 2 * 4, 15);
}

RANKWRIGHT_INLINE void q4k(const std::byte* block, float* target)
{
    fillScaled(block, target, [low = block + 16](std::size_t part, std::size_t i) { return nibble(low, part, i); });
}

/// As Q4_K, with 32 bytes of fifth bits before the q.
RANKWRIGHT_INLINE void q5k(const std::byte* block, float* target)
{
    fillScaled(block, target, [high = block + 16, low = block + 48](std::size_t part, std::size_t i) {
        return nibble(low, part, i) | bitsAt(high + i, part, 1) << 4;
    });
}

/// 2 x 64 bytes of the low four bits of q, 2 x 32 bytes of the high two, 16 scales in int8 for 16 elements each, d.
RANKWRIGHT_INLINE void q6k(const std::byte* block, float* target)
{
    const float d = halfAt(block + 208);
    for (std::size_t part = 0; part < 16; ++part, target += 16) {
        const float scale = d * static_cast<float>(readAt<std::int8_t>(block + 192 + part));
        const std::byte* low = block + part / 8 * 64 + part % 4 * 16;
        const std::byte* high = block + 128 + part / 8 * 32 + part % 2 * 16;
        const std::size_t lowShift = part / 4 % 2 * 4;
        const std::size_t highShift = part / 2 % 4 * 2;
        fill<16>(target, [=](std::size_t i) {
            return scale *
                   static_cast<float>((bitsAt(low + i, lowShift, 15) | bitsAt(high + i, highShift, 3) << 4) - 32);
        });
    }
}

/// d, 16 bits with the high two of eight scales, four bytes with their low four, and 16 bytes as in IQ4_NL for each.
RANKWRIGHT_INLINE void iq4xs(const std::byte* block, float* target)
{
    const float d = halfAt(block);
    const int high = readAt<std::uint16_t>(block + 2);
    for (std::size_t part = 0; part < 8; ++part, target += 32) {
        const int bits = bitsAt(block + 4 + part / 2, part % 2 * 4, 15) | (high >> (2 * part) & 3) << 4;
        const float scale = d * static_cast<float>(bits - 32);
        fillNibbles(block + 8 + part * 16, target,
                    [scale](int q, std::size_t) { return scale * iq4Values[static_cast<std::size_t>(q)]; });
    }
}

template <auto decodeBlock>
RANKWRIGHT_INLINE void decodeEach(DType dtype, const std::byte* source, std::size_t blocks, float* target)
{
    const std::size_t bytes = bytesPerBlock(dtype);
    const std::size_t elements = elementsPerBlock(dtype);
    for (std::size_t block = 0; block < blocks; ++block)
        decodeBlock(source + block * bytes, target + block * elements);
}

RANKWRIGHT_INLINE void decode(DType dtype, const std::byte* source, std::size_t blocks, float* target)
{
    switch (dtype) {
    case DType::Q8_0:
        return decodeEach<q80>(dtype, source, blocks, target);
    case DType::Q4_0:
        return decodeEach<q40>(dtype, source, blocks, target);
    case DType::Q4_1:
        return decodeEach<q41>(dtype, source, blocks, target);
    case DType::Q5_0:
        return decodeEach<q50>(dtype, source, blocks, target);
    case DType::Q5_1:
        return decodeEach<q51>(dtype, source, blocks, target);
    case DType::Q2_K:
        return decodeEach<q2k>(dtype, source, blocks, target);
    case DType::Q3_K:
        return decodeEach<q3k>(dtype, source, blocks, target);
    case DType::Q4_K:
        return decodeEach<q4k>(dtype, source, blocks, target);
    case DType::Q5_K:
        return decodeEach<q5k>(dtype, source, blocks, target);
    case DType::Q6_K:
        return decodeEach<q6k>(dtype, source, blocks, target);
    case DType::IQ4_NL:
        return decodeEach<iq4nl>(dtype, source, blocks, target);
    case DType::IQ4_XS:
        return decodeEach<iq4xs>(dtype, source, blocks, target);
    default:
        throw Error(ErrorKind::Internal, fmt::format("{} is not a type of blocks", dtypeName(dtype)));
    }
}

#if defined(__x86_64__)
RANKWRIGHT_AVX2 void dequantiseAvx2(DType dtype, const std::byte* source, std::size_t blocks, float* target)
{
    decode(dtype, source, blocks, target);
}
#else
constexpr auto dequantiseAvx2 = dequantiseBase;
#endif

} // namespace

void dequantiseBase(DType dtype, const std::byte* source, std::size_t blocks, float* target)
{
    decode(dtype, source, blocks, target);
}

void dequantise(DType dtype, const std::byte* source, std::size_t blocks, float* target)
{
    (hasAvx2() ? dequantiseAvx2 : dequantiseBase)(dtype, source, blocks, target);
}

} // namespace rankwright
