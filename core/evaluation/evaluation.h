#pragma once

#include "core/calibration/windows.h"
#include "core/model/generation.h"

#include <string>
#include <vector>

namespace rankwright {

struct PerplexityResult
{
    double perplexity = 0.0; ///< exp(sum of window losses / predicted tokens)
    std::size_t windows = 0;
    std::size_t windowLength = 0;
    std::size_t predictedTokens = 0; ///< windows (L - 1)
    std::vector<double> windowNll;   ///< nats summed over the L - 1 shifted targets of each window
    double seconds = 0.0;
    double tokensPerSecond = 0.0;
};

/// Perplexity over disjoint windows (methods 26.1), on as many threads as the memory limit holds. Throws
/// Error(NonFinite) if any logit is not finite: nothing is dropped silently; Error(Memory) where the limit does not
/// hold one window at a time (perplexityMemory()).
PerplexityResult evaluatePerplexity(const Model& model, const Device& device, const TokenWindows& windows,
                                    const PassOptions& options, const TaskContext& context);

struct DivergenceResult
{
    double klDivergence = 0.0; ///< mean over positions of KL(original || other), nats
    /// Of klDivergence, from the spread of the means of the windows, as positions of a window depend on each other;
    /// 0 for a single window.
    double klStandardError = 0.0;
    double topOneAgreement = 0.0; ///< share of positions with the same most likely token (the lower id of equals)
    std::size_t positions = 0;
    std::vector<double> windowKl; ///< summed over the positions of each window
};

/// How far the predictions of `other` are from those of `original` at all L positions of the same windows:
/// KL = sum_i p_i (log p_i - log q_i) in float64 from float32 logits. `original` runs first and its last hidden states
/// are kept, in memory or in a file; logits exist for a few rows at a time; compareTokens() shows them token by token.
/// Results do not depend on threads and memory limit. Throws Error(Mismatch) for different vocabularies,
/// Error(NonFinite) and Error(Memory) as evaluatePerplexity().
DivergenceResult evaluateDivergence(const Model& original, const Model& other, const Device& device,
                                    const TokenWindows& windows, const PassOptions& options,
                                    const TaskContext& context);

struct LinearErrorResult
{
    std::string name;
    double relativeError = 0.0; ///< ||Y - Y_hat||_F / ||Y||_F, Y = W X + b on the windows, X of the original model
};

/// Relative output error of every linear on held-out windows, with the inputs of the original model, in the order of
/// original.linears(); 0 where `other` has the same weights. Streamed block by block; Y - Y_hat = (W - W_hat) X, so
/// that small errors do not drown in the rounding of Y. Results do not depend on threads and memory limit. Throws
/// Error(Mismatch) where the linears of the models differ in name or shape, Error(NonFinite) naming the linear,
/// Error(Memory) as evaluatePerplexity().
std::vector<LinearErrorResult> evaluateLinearErrors(const Model& original, const Model& other, const Device& device,
                                                    const TokenWindows& windows, const PassOptions& options,
                                                    const TaskContext& context);

/// What two models make of one prompt.
struct GenerationComparison
{
    GenerationResult original;
    GenerationResult other;
    std::size_t sameTokens = 0; ///< generated tokens before the first that differs
};

/// Greedy generation of both models from the same prompt, one after the other, as generateGreedy().
GenerationComparison generateSideBySide(const Model& original, const Model& other, const Device& device,
                                        const std::string& prompt, std::size_t tokens, const PassOptions& options,
                                        const TaskContext& context);

/// Logits of one window at chosen positions (rows x vocabulary), for comparison with other programs.
Matrix<float> windowLogits(const Model& model, const Device& device, const std::vector<std::int32_t>& window,
                           const std::vector<std::size_t>& positions, const PassOptions& options);

} // namespace rankwright
