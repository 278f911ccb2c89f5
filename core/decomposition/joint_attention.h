#pragma once

#include "core/decomposition/group.h"

namespace rankwright {

/// How joint queries and keys are approximated.
struct JointOptions
{
    std::size_t sweeps = 2;            ///< of the alternation
    std::size_t distances = 16;        ///< between query and key, with rotary embedding
    std::size_t largestDistance = 512; ///< in tokens, with rotary embedding
    bool biasUpdate = false;           ///< values and outputs: centred statistics, and an output bias for the mean
};

/// Joint queries and keys (LatentLLM, methods 1.2 and 1.3): the logits of all heads under
///   sum_i || R_q (Wq_i^T Wk_g - Wq_hat_i^T Wk_hat_g) R_k ||^2,
/// with R R^T the second moment of the input: for keys centred, as softmax ignores what all keys have in common, and
/// the key bias dropped for the same reason; for queries with a constant 1 appended, so that their bias lies in the
/// latents. With rotary embedding Theta_delta stands between queries and keys, the objective is the mean over distances
/// delta, neither invariance holds, and both biases lie in the latents. Members: q, k. Throws as makeObjective(), and
/// Error(Unsupported) where queries and keys are normed.
std::unique_ptr<GroupAnalysis> jointQueryKey(const Device& device, const Method& method, const GroupProblem& problem,
                                             const JointOptions& options);

/// Joint values and outputs (LatentLLM, methods 1.4): the paths of all heads under
///   sum_i || (Wo_i Wv_g - Wo_hat_i Wv_hat_g) R ||^2.
/// Attention weights sum to 1, so that a value bias is a constant of the output: it goes into the output's bias
/// exactly. Members: v, o; statistics are those of v. Throws as makeObjective().
std::unique_ptr<GroupAnalysis> jointValueOutput(const Device& device, const Method& method, const GroupProblem& problem,
                                                const JointOptions& options);

} // namespace rankwright
