#pragma once

#include <cstddef>
#include <span>

namespace rankwright {

// Gradients of the kernels in elementwise.h: `d` before a name is the gradient of the loss with respect to it.

/// dx += gradient through y = rmsNorm(x).
void addRmsNormGradient(std::span<const float> x, std::span<const float> weight, float epsilon,
                        std::span<const float> dy, std::span<float> dx);

/// dx += gradient through y = layerNorm(x).
void addLayerNormGradient(std::span<const float> x, std::span<const float> weight, float epsilon,
                          std::span<const float> dy, std::span<float> dx);

/// Through h = silu(gate) * up: dGate and dUp from dh; dUp may be dh.
void siluTimesGradient(std::span<const float> gate, std::span<const float> up, std::span<const float> dh,
                       std::span<float> dGate, std::span<float> dUp);

/// d = d * relu'(x), silu'(x), geluTanh'(x).
void reluGradient(std::span<const float> x, std::span<float> d);
void siluGradient(std::span<const float> x, std::span<float> d);
void geluTanhGradient(std::span<const float> x, std::span<float> d);

/// Through p = softmax(scale * x): d = scale * p * (d - sum p d).
void softmaxGradient(std::span<const float> p, float scale, std::span<float> d);

/// The inverse of rotateHalves(), which is its transpose.
void rotateHalvesBack(std::span<float> head, std::span<const float> cosines, std::span<const float> sines);

} // namespace rankwright
