#pragma once

#include "core/evaluation/evaluation.h"
#include "core/model/forward.h"

#include <cstdint>
#include <vector>

namespace rankwright {

/// Nats of the L - 1 shifted targets of a window, summed in float64, from its last hidden states (L x hiddenSize). Not
/// checked for being finite but as Head::chunk() does.
double windowLoss(const Head& head, const std::vector<std::int32_t>& ids, ConstMatrixView<float> hidden,
                  ForwardScratch& scratch, const TaskContext& context);

/// Throws Error(InvalidArgument) unless there is a window of at least two tokens.
void requirePredictedTokens(const TokenWindows& windows);

/// What windows of `length` tokens with these losses make together, in `seconds`.
PerplexityResult perplexityOf(std::vector<double> windowNll, std::size_t length, double seconds);

} // namespace rankwright
