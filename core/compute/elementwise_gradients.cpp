#include "core/compute/elementwise_gradients.h"

#include "core/compute/vector_kernel.h"

#include <cassert>
#include <cmath>

namespace rankwright {

namespace {

/// Sum of f(i) over [0, count), float32 in short stretches and float64 over them.
template <typename Term>
[[gnu::always_inline]] inline double sumOf(std::size_t count, const Term& term)
{
    double total = 0;
    for (std::size_t first = 0; first < count; first += blockLength) {
        const std::size_t end = std::min(first + blockLength, count);
        float part = 0;
#pragma omp simd reduction(+ : part)
        for (std::size_t i = first; i < end; ++i)
            part += term(i);
        total += static_cast<double>(part);
    }
    return total;
}

} // namespace

RANKWRIGHT_VECTOR_KERNEL
void addRmsNormGradient(std::span<const float> x, std::span<const float> weight, float epsilon,
                        std::span<const float> dy, std::span<float> dx)
{
    assert(x.size() == weight.size() && x.size() == dy.size() && x.size() == dx.size());
    const auto count = static_cast<double>(x.size());
    const float* from = x.data();
    const float* factor = weight.data();
    const float* d = dy.data();
    float* to = dx.data();
    const double squares = sumOf(x.size(), [&](std::size_t i) { return from[i] * from[i]; });
    const double along = sumOf(x.size(), [&](std::size_t i) { return d[i] * factor[i] * from[i]; });
    const double scale = 1.0 / std::sqrt(squares / count + static_cast<double>(epsilon));
    const auto outer = static_cast<float>(scale);
    const auto inner = static_cast<float>(along * scale * scale * scale / count);
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i)
        to[i] += outer * factor[i] * d[i] - inner * from[i];
}

RANKWRIGHT_VECTOR_KERNEL
void addLayerNormGradient(std::span<const float> x, std::span<const float> weight, float epsilon,
                          std::span<const float> dy, std::span<float> dx)
{
    assert(x.size() == weight.size() && x.size() == dy.size() && x.size() == dx.size());
    const auto count = static_cast<double>(x.size());
    const float* from = x.data();
    const float* factor = weight.data();
    const float* d = dy.data();
    float* to = dx.data();
    const auto mean = static_cast<float>(sumOf(x.size(), [&](std::size_t i) { return from[i]; }) / count);
    const double squares = sumOf(x.size(), [&](std::size_t i) { return (from[i] - mean) * (from[i] - mean); });
    const double along = sumOf(x.size(), [&](std::size_t i) { return d[i] * factor[i] * (from[i] - mean); });
    const double level = sumOf(x.size(), [&](std::size_t i) { return d[i] * factor[i]; });
    const double scale = 1.0 / std::sqrt(squares / count + static_cast<double>(epsilon));
    const auto outer = static_cast<float>(scale);
    const auto inner = static_cast<float>(along * scale * scale * scale / count);
    const auto shift = static_cast<float>(level * scale / count);
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i)
        to[i] += outer * factor[i] * d[i] - inner * (from[i] - mean) - shift;
}

RANKWRIGHT_VECTOR_KERNEL
void siluTimesGradient(std::span<const float> gate, std::span<const float> up, std::span<const float> dh,
                       std::span<float> dGate, std::span<float> dUp)
{
    assert(gate.size() == up.size() && gate.size() == dh.size() && gate.size() == dGate.size() &&
           gate.size() == dUp.size());
    const float* g = gate.data();
    const float* u = up.data();
    const float* d = dh.data();
    float* toGate = dGate.data();
    float* toUp = dUp.data();
#pragma omp simd
    for (std::size_t i = 0; i < gate.size(); ++i) {
        const float share = sigmoid(g[i]);
        const float slope = share * (1.0F + g[i] * (1.0F - share));
        const float incoming = d[i];
        toGate[i] = incoming * u[i] * slope;
        toUp[i] = incoming * g[i] * share;
    }
}

RANKWRIGHT_VECTOR_KERNEL
void reluGradient(std::span<const float> x, std::span<float> d)
{
    assert(x.size() == d.size());
    const float* from = x.data();
    float* to = d.data();
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i)
        to[i] = from[i] > 0 ? to[i] : 0.0F;
}

RANKWRIGHT_VECTOR_KERNEL
void siluGradient(std::span<const float> x, std::span<float> d)
{
    assert(x.size() == d.size());
    const float* from = x.data();
    float* to = d.data();
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float share = sigmoid(from[i]);
        to[i] *= share * (1.0F + from[i] * (1.0F - share));
    }
}

RANKWRIGHT_VECTOR_KERNEL
void geluTanhGradient(std::span<const float> x, std::span<float> d)
{
    assert(x.size() == d.size());
    constexpr float twiceRoot = 1.5957691216F; // 2 sqrt(2 / pi)
    constexpr float cubic = 0.044715F;
    const float* from = x.data();
    float* to = d.data();
#pragma omp simd
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float square = from[i] * from[i];
        const float share = sigmoid(twiceRoot * from[i] * (1.0F + cubic * square));
        const float slope = twiceRoot * (1.0F + 3.0F * cubic * square);
        to[i] *= share + from[i] * share * (1.0F - share) * slope;
    }
}

RANKWRIGHT_VECTOR_KERNEL
void softmaxGradient(std::span<const float> p, float scale, std::span<float> d)
{
    assert(p.size() == d.size());
    const float* share = p.data();
    float* to = d.data();
    const auto mean = static_cast<float>(sumOf(p.size(), [&](std::size_t i) { return share[i] * to[i]; }));
#pragma omp simd
    for (std::size_t i = 0; i < p.size(); ++i)
        to[i] = scale * share[i] * (to[i] - mean);
}

RANKWRIGHT_VECTOR_KERNEL
void rotateHalvesBack(std::span<float> head, std::span<const float> cosines, std::span<const float> sines)
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
        low[j] = a * c[j] + b * s[j];
        high[j] = b * c[j] - a * s[j];
    }
}

} // namespace rankwright
