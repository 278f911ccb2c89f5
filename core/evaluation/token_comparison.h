#pragma once

#include "core/model/forward.h"

#include <cstdint>
#include <span>
#include <vector>

namespace rankwright {

struct TokenChance
{
    std::int32_t token = 0;
    double probability = 0.0;
};

/// What two models make of every token of one window, T tokens. Log probabilities of a token stand at its own index;
/// divergence and most likely tokens are of the prediction that is made after a token, and stand at the index of that
/// one: tokens[t] was predicted at t - 1.
struct TokenComparison
{
    std::vector<std::int32_t> tokens;
    std::vector<double> originalLogProbability;        ///< nats, of tokens[t] after those before; NaN at t = 0
    std::vector<double> otherLogProbability;           ///< the same of the other model
    std::vector<double> divergence;                    ///< KL(original || other), nats, of the prediction at t
    std::vector<std::vector<TokenChance>> originalTop; ///< the topTokens most likely next tokens, likeliest first
    std::vector<std::vector<TokenChance>> otherTop;
};
/// Most likely tokens that are kept of a prediction; the lower id of equals comes first.
inline constexpr std::size_t topTokens = 5;

/// Compares two models on one window of 1 .. context tokens, in float64 from float32 logits, as evaluatePerplexity()
/// and evaluateDivergence() do on windows: minus the sum of the log probabilities is the window's windowNll, the sum of
/// the divergences its windowKl. Needs memory as evaluateDivergence(). Throws Error(InvalidArgument) for no tokens,
/// more than a context, or a token outside the vocabulary, Error(Mismatch) for different vocabularies,
/// Error(NonFinite), Error(Memory), Error(Cancelled).
TokenComparison compareTokens(const Model& original, const Model& other, const Device& device,
                              std::span<const std::int32_t> ids, const PassOptions& options,
                              const TaskContext& context);

} // namespace rankwright
