#pragma once

#include <cstddef>
#include <span>

namespace rankwright {

// Vector kernels of the forward pass, float32, compiled for several instruction sets and chosen at run time.

/// y_i = x_i * weight_i / sqrt(mean(x^2) + epsilon) (RMSNorm); y may be x.
void rmsNorm(std::span<const float> x, std::span<const float> weight, float epsilon, std::span<float> y);

/// y_i = (x_i - mean(x)) * weight_i / sqrt(var(x) + epsilon) + bias_i, var divided by the number of values (LayerNorm);
/// y may be x.
void layerNorm(std::span<const float> x, std::span<const float> weight, std::span<const float> bias, float epsilon,
               std::span<float> y);

/// x_i = max(x_i, 0); NaN stays NaN.
void relu(std::span<float> x);

/// x_i = x_i / (1 + exp(-x_i)).
void silu(std::span<float> x);

/// x_i = x_i (1 + tanh(sqrt(2/pi) (x_i + 0.044715 x_i^3))) / 2 (GELU by tanh, "gelu_new").
void geluTanh(std::span<float> x);

/// gate_i = silu(gate_i) * up_i, silu(v) = v / (1 + exp(-v)) (SwiGLU).
void siluTimes(std::span<float> gate, std::span<const float> up);

/// x = softmax(scale * x) in place, with the maximum subtracted first.
void softmax(std::span<float> x, float scale);

/// -log softmax(x)[target] in nats, sums in float64. Not finite where x is not.
double negativeLogLikelihood(std::span<const float> x, std::size_t target);

/// log-softmax in place, float32 with a float64 normaliser.
void logSoftmax(std::span<float> x);

/// Rotates one head (halves form of Hugging Face Llama: pairs (j, j + width/2)) by the angles whose cosines and sines
/// are given (width/2 each).
void rotateHalves(std::span<float> head, std::span<const float> cosines, std::span<const float> sines);

/// y += x.
void addTo(std::span<const float> x, std::span<float> y);

/// sum += x and sumAbs += |x|, float64.
void addSums(std::span<const float> x, std::span<double> sum, std::span<double> sumAbs);

/// True if every value is finite.
bool allFinite(std::span<const float> x);
bool allFinite(std::span<const double> x);

} // namespace rankwright
