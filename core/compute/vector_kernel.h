#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

// One version of each kernel per instruction set, chosen when the program is loaded. The sanitizers are not ready at
// that moment, so their builds take the plain version.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
    !defined(__SANITIZE_THREAD__)
#define RANKWRIGHT_VECTOR_KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RANKWRIGHT_VECTOR_KERNEL
#endif

namespace rankwright {

/// Float32 partial sums run over this many values and are then added in float64.
constexpr std::size_t blockLength = 256;

/// exp(x) for x <= 0 with a relative error below 2e-7; 0 below the smallest normal result; NaN stays NaN.
/// x = n log 2 + r, |r| <= log(2) / 2, and a minimax polynomial of degree 6 for exp(r).
[[gnu::always_inline]] inline float expNonPositive(float x)
{
    constexpr float smallest = -87.33654F;
    constexpr float log2e = 1.44269504F;
    constexpr float log2High = 0.693359375F;
    constexpr float log2Low = -2.12194440e-4F;
    constexpr float shift = 12582912.0F + 127.0F; // 1.5 * 2^23: n + 127 lands in the low bits
    const float shifted = std::max(smallest, x) * log2e + shift;
    const float n = shifted - shift;
    const float r = (x - n * log2High) - n * log2Low;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1.0F;
    const auto scale = std::bit_cast<float>(std::bit_cast<std::uint32_t>(shifted) << 23U);
    return x < smallest ? 0.0F : p * scale;
}

/// 1 / (1 + exp(-x)); exp of a non-positive number only: no overflow for either sign.
[[gnu::always_inline]] inline float sigmoid(float x)
{
    const float e = expNonPositive(-std::abs(x));
    return (x < 0 ? e : 1.0F) / (1.0F + e);
}

} // namespace rankwright
