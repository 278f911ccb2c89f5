#pragma once

#include "core/calibration/windows.h"
#include "core/decomposition/group.h"

#include <vector>

/// Inputs of the attention of the first `blocks` blocks under the dense model, n x tokens, windows one after the other.
std::vector<rankwright::Matrix<double>> attentionInputs(const rankwright::Model& model,
                                                        const rankwright::Device& device,
                                                        const rankwright::TokenWindows& windows, std::size_t blocks);

/// Weights and biases of queries and keys.
struct QueriesAndKeys
{
    rankwright::Matrix<double> Wq;
    rankwright::Matrix<double> Wk;
    std::vector<float> bq;
    std::vector<float> bk;
};

/// Which pairs of query and key are compared.
enum class LogitPairs {
    All,   ///< every token with every other, as the method's objective has it
    Causal ///< every token with itself and the earlier ones of its window, as attention has it
};

/// Squared differences of the attention logits x_s^T Wq_i^T R(s - t) Wk_g x_t of two models over all heads, by plain
/// loops; the logits of a query less their mean over its keys, which softmax ignores. R turns by the distance inside
/// the window (causal pairs), not at all where the model has no rotary embedding.
double logitError(const QueriesAndKeys& original, const QueriesAndKeys& other,
                  const rankwright::AttentionGeometry& attention, const rankwright::Matrix<double>& X,
                  std::size_t windowLength, LogitPairs pairs);
