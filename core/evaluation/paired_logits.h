#pragma once

#include "core/model/forward.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace rankwright {

/// Called with the logits of both models after the tokens [first, first + rows) of a window, rows x vocabulary. Rows of
/// one window come in order, windows on several threads.
using LogitVisitor = std::function<void(std::size_t window, std::size_t first, ConstMatrixView<float> original,
                                        ConstMatrixView<float> other)>;

/// Equal ids of different vocabularies are different tokens. Throws Error(Mismatch).
void requireSameVocabulary(const Model& model, const Model& other);

/// Logits of two models on the same windows of equal length, a few rows at a time: `original` runs first and its last
/// hidden states are kept, in memory or in a file. Logits do not depend on threads and memory limit. Throws
/// Error(InvalidArgument) for no windows or empty ones, Error(Mismatch) for different vocabularies, Error(Memory) where
/// the limit does not hold one window at a time (divergenceMemory()), and what forwardWindows() and Head throw.
void forEachLogitPair(const Model& original, const Model& other, const Device& device,
                      std::span<const std::vector<std::int32_t>> windows, const PassOptions& options,
                      const TaskContext& context, const LogitVisitor& visit);

/// What two rows of logits, x and y, say about each other.
struct RowComparison
{
    double kl = 0.0; ///< KL(softmax(x) || softmax(y)), nats
    bool sameTop = false;
    double originalNormaliser = 0.0; ///< log sum_i exp(x_i)
    double otherNormaliser = 0.0;
};

/// In float64: KL(p || q) = sum_i p_i (x_i - y_i) - (log Z_x - log Z_y) for p = softmax(x), q = softmax(y).
RowComparison compareRows(std::span<const float> x, std::span<const float> y);

} // namespace rankwright
