#include "core/compute/elementwise.h"

#include "core/compute/vector_kernel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>

namespace rankwright {

namespace {

[[gnu::always_inline]] inline float maximum(const float* x, std::size_t count)
{
    float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
    for (std::size_t i = 0; i < count; ++i)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

/// Sum of exp(x_i - largest) in float64; NaN where an x_i is not finite.
[[gnu::always_inline]] inline double sumExp(const float* x, std::size_t count, float largest)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < count; ++i)
        sum += static_cast<double>(expNonPositive(x[i] - largest) + x[i] * 0.0F);
    return sum;
}

} // namespace

RANKWRIGHT_VECTOR_KERNEL
void rmsNorm(std::span<const float> x, std::span<const float> weight, float epsilon, std::span<float> y)
{
    assert(x.size() == weight.size() && x.size() == y.size());
    const std::size_t count = x.size();
    double squares = 0;
    for (std::size_t first = 0; first < count; first += blockLength) {
        const std::size_t end = std::min(first + blockLength, count);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (std::size_t i = first; i < end; ++i)
            part += x[i] * x[i];
        squares += static_cast<double>(part);
    }
    const auto scale =
        static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(count) + static_cast<double>(epsilon)));
    const float* from = x.data();
    const float* factor = weight.data();
    float* to = y.data();
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i)
        to[i] = from[i] * scale * factor[i];
}

RANKWRIGHT_VECTOR_KERNEL
void layerNorm(std::span<const float> x, std::span<const float> weight, std::span<const float> bias, float epsilon,
               std::span<float> y)
{
    assert(x.size() == weight.size() && x.size() == bias.size() && x.size() == y.size());
    const std::size_t count = x.size();
    const float* from = x.data();
    double total = 0; // in float64 from the start: a mean far from zero would cost digits of the variance
#pragma omp simd reduction(+ : total)
    for (std::size_t i = 0; i < count; ++i)
        total += static_cast<double>(from[i]);
    const auto mean = static_cast<float>(total / static_cast<double>(count));
    double squares = 0;
    for (std::size_t first = 0; first < count; first += blockLength) {
        const std::size_t end = std::min(first + blockLength, count);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (std::size_t i = first; i < end; ++i)
            part += (from[i] - mean) * (from[i] - mean);
        squares += static_cast<double>(part);
    }
    const auto scale =
        static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(count) + static_cast<double>(epsilon)));
    const float* factor = weight.data();
    const float* shift = bias.data();
    float* to = y.data();
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i)
        to[i] = (from[i] - mean) * scale * factor[i] + shift[i];
}

RANKWRIGHT_VECTOR_KERNEL
void relu(std::span<float> x)
{
    float* values = x.data();
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i)
        values[i] = values[i] < 0 ? 0.0F : values[i];
}

RANKWRIGHT_VECTOR_KERNEL
void silu(std::span<float> x)
{
    float* values = x.data();
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i)
        values[i] *= sigmoid(values[i]);
}

RANKWRIGHT_VECTOR_KERNEL
void geluTanh(std::span<float> x)
{
    constexpr float twiceRoot = 1.5957691216F; // 2 sqrt(2 / pi)
    float* values = x.data();
    // (1 + tanh(z)) / 2 = sigmoid(2 z).
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i)
        values[i] *= sigmoid(twiceRoot * (values[i] + 0.044715F * values[i] * values[i] * values[i]));
}

RANKWRIGHT_VECTOR_KERNEL
void siluTimes(std::span<float> gate, std::span<const float> up)
{
    assert(gate.size() == up.size());
    float* g = gate.data();
    const float* u = up.data();
#pragma omp simd
    for (std::size_t i = 0; i < gate.size(); ++i)
        g[i] = g[i] * sigmoid(g[i]) * u[i];
}

RANKWRIGHT_VECTOR_KERNEL
void softmax(std::span<float> x, float scale)
{
    float* values = x.data();
    const std::size_t count = x.size();
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i)
        values[i] *= scale;
    const float largest = maximum(values, count);
    double sum = 0;
    for (std::size_t first = 0; first < count; first += blockLength) {
        const std::size_t end = std::min(first + blockLength, count);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (std::size_t i = first; i < end; ++i) {
            values[i] = expNonPositive(values[i] - largest);
            part += values[i];
        }
        sum += static_cast<double>(part);
    }
    const auto inverse = static_cast<float>(1.0 / sum);
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i)
        values[i] *= inverse;
}

RANKWRIGHT_VECTOR_KERNEL
double negativeLogLikelihood(std::span<const float> x, std::size_t target)
{
    assert(target < x.size());
    const float largest = maximum(x.data(), x.size());
    const double sum = sumExp(x.data(), x.size(), largest);
    return std::log(sum) + (static_cast<double>(largest) - static_cast<double>(x[target]));
}

RANKWRIGHT_VECTOR_KERNEL
void logSoftmax(std::span<float> x)
{
    float* values = x.data();
    const std::size_t count = x.size();
    const float largest = maximum(values, count);
    const double normaliser = static_cast<double>(largest) + std::log(sumExp(values, count, largest));
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i)
        values[i] = static_cast<float>(static_cast<double>(values[i]) - normaliser);
}

RANKWRIGHT_VECTOR_KERNEL
void rotateHalves(std::span<float> head, std::span<const float> cosines, std::span<const float> sines)
{
    const std::size_t half = head.size() / 2;
    assert(head.size() % 2 == 0 && cosines.size() == half && sines.size() == half);
    float* low = head.data();
    float* high = head.data() + half;
    const float* c = cosines.data();
    const float* s = sines.data();
#pragma omp simd
    for (std::size_t j = 0; j < half; ++j) {
        const float a = low[j];
        const float b = high[j];
        low[j] = a * c[j] - b * s[j];
        high[j] = b * c[j] + a * s[j];
    }
}

RANKWRIGHT_VECTOR_KERNEL
void addTo(std::span<const float> x, std::span<float> y)
{
    assert(x.size() == y.size());
    const float* from = x.data();
    float* to = y.data();
#pragma omp simd
    for (std::size_t i = 0; i < y.size(); ++i)
        to[i] += from[i];
}

RANKWRIGHT_VECTOR_KERNEL
void addSums(std::span<const float> x, std::span<double> sum, std::span<double> sumAbs)
{
    assert(x.size() == sum.size() && x.size() == sumAbs.size());
    const float* from = x.data();
    double* to = sum.data();
    double* toAbs = sumAbs.data();
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto value = static_cast<double>(from[i]);
        to[i] += value;
        toAbs[i] += std::abs(value);
    }
}

RANKWRIGHT_VECTOR_KERNEL
bool allFinite(std::span<const float> x)
{
    constexpr std::uint32_t exponent = 0x7f800000U;
    constexpr std::size_t stretch = 4096;
    const float* values = x.data();
    for (std::size_t first = 0; first < x.size(); first += stretch) {
        const std::size_t end = std::min(first + stretch, x.size());
        std::uint32_t bad = 0;
#pragma omp simd reduction(| : bad)
        for (std::size_t i = first; i < end; ++i)
            bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(values[i]) & exponent) == exponent);
        if (bad != 0)
            return false;
    }
    return true;
}

RANKWRIGHT_VECTOR_KERNEL
bool allFinite(std::span<const double> x)
{
    constexpr std::uint64_t exponent = 0x7ff0000000000000U;
    constexpr std::size_t stretch = 4096;
    const double* values = x.data();
    for (std::size_t first = 0; first < x.size(); first += stretch) {
        const std::size_t end = std::min(first + stretch, x.size());
        std::uint64_t bad = 0;
#pragma omp simd reduction(| : bad)
        for (std::size_t i = first; i < end; ++i)
            bad |= static_cast<std::uint64_t>((std::bit_cast<std::uint64_t>(values[i]) & exponent) == exponent);
        if (bad != 0)
            return false;
    }
    return true;
}

} // namespace rankwright
