#pragma once

#include "core/decomposition/group.h"
#include "core/decomposition/objective.h"

#include <memory>
#include <vector>

namespace rankwright {

/// How much errors in the outputs of one linear count beside those of the others.
struct OutputMetric
{
    double scale = 1.0;         ///< error e costs scale^2 ||e||^2
    Matrix<double> factor = {}; ///< lower triangular L (m x m): error e costs ||L^T e||^2; empty: by `scale`
};

/// The linears of a group under one another, with their biases, 0 where one has none and another has. All must read the
/// tap of the first; otherwise throws Error(Mismatch) naming the linear.
LinearProblem stackedProblem(const GroupProblem& group);

/// Linears under one another over one A (LatentLLM, methods 1.5): with F = blockdiag(F_b), F_b = scale_b I or L_b^T, M
/// = F W and U the eigenvectors of M C M^T, largest first, B = F^-1 U_r and A = U_r^T M. This is the least sum_b ||F_b
/// (W_b - B_b A) X||^2 that any B_b over one A of rank r can have: the optimum of the stack. Losses of members: ||(W_b
/// - B_b A) X||^2 whatever the scale, or half of ||L_b^T (W_b - B_b A) X||^2 per token, which are nats where L_b L_b^T
/// is the curvature. As U^T M C M^T U is diagonal, they are tail sums of each member's part. `objective` is that of
/// stackedProblem(), `metrics` one for each member, all with a factor or none.
std::unique_ptr<SharedAnalysis> shareLatents(const Device& device, const GroupProblem& group, Objective objective,
                                             const std::vector<OutputMetric>& metrics);

} // namespace rankwright
