#pragma once

#include "core/calibration/windows.h"
#include "core/model/forward.h"

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

/// Perplexity over disjoint windows (methods 26.1). Throws Error(NonFinite) if any logit is not finite: nothing is
/// dropped silently.
PerplexityResult evaluatePerplexity(const Model& model, const Device& device, const TokenWindows& windows,
                                    const PassOptions& options, const TaskContext& context);

struct DivergenceResult
{
    double klDivergence = 0.0; ///< mean over positions of KL(original || other), nats
    double klStandardError = 0.0;
    double topOneAgreement = 0.0; ///< share of positions with the same most likely token
    std::size_t positions = 0;
    std::vector<double> windowKl; ///< summed per window
};

/// How far `other` is from `original` on the same windows (all L positions of each).
DivergenceResult evaluateDivergence(const Model& original, const Model& other, const Device& device,
                                    const TokenWindows& windows, const PassOptions& options,
                                    const TaskContext& context);

struct LinearErrorResult
{
    std::string name;
    double relativeError = 0.0; ///< ||W X - W_hat X||_F / ||W X||_F on the windows, X of the original model
};

/// Relative output error of every replaced linear on held-out windows, inputs of the original model, streamed.
std::vector<LinearErrorResult> evaluateLinearErrors(const Model& original, const Model& other, const Device& device,
                                                    const TokenWindows& windows, const PassOptions& options,
                                                    const TaskContext& context);

/// Logits of one window at chosen positions (rows x vocabulary), for comparison with other programs.
Matrix<float> windowLogits(const Model& model, const Device& device, const std::vector<std::int32_t>& window,
                           const std::vector<std::size_t>& positions, const PassOptions& options);

} // namespace rankwright
