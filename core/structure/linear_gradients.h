#pragma once

#include "core/structure/linear_weights.h"

#include <span>
#include <vector>

namespace rankwright {

/// The values of a linear that training changes: B and A, or B and A2, then the bias and the values of S where there
/// are some; the places of S stay. None where it is dense: factors only are trained.
std::vector<std::span<float>> trainedValues(LinearWeights& weights);

/// Scales column k of B and row k of A to equal norms, which changes no product: B = U S^{1/2}, A = S^{1/2} V^T where
/// they come of a singular value decomposition. Other structures stay as they are: their gauge is fixed.
void balanceFactors(LinearWeights& weights);

/// Buffers of addLinearGradients(); one per thread.
struct LinearGradientScratch
{
    Matrix<float> gathered;
    Matrix<float> latent;
    Matrix<float> dLatent;
    Matrix<float> sparse;
};

/// gradient += gradient of the loss with respect to trainedValues(), from inputs X (T x n) and the gradient dY (T x m)
/// with respect to the outputs: with z = A x and dz = B^T dy, dB = sum dy z^T and dA = sum dz x^T; with a block
/// identity z = x[pivots] + A2 x[rest] and dA2 = sum dz x[rest]^T; dS = sum dy x^T at the entries of S. `gradient` has
/// the structure and shape of `weights`.
void addLinearGradients(const Device& device, const LinearWeights& weights, ConstMatrixView<float> X,
                        ConstMatrixView<float> dY, LinearWeights& gradient, LinearGradientScratch& scratch);

} // namespace rankwright
