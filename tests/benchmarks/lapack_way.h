#pragma once

#include "core/decomposition/method.h"

namespace rankwright::benchmarks {

// The straightforward way to a whitened low-rank factorisation of W with the second moment C, by LAPACK:
// C = L L^T, SVD of W L = U S V^T, B = U_r S_r^(1/2), A = S_r^(1/2) V_r^T L^-1.

/// All of it in float64: dpotrf, dtrtri, dtrmm, dgesdd.
Factorisation lapackWay(const Matrix<double>& W, const Matrix<double>& C, std::size_t rank);

/// As SVD-LLM (Wang et al. 2024) writes it: dpotrf, the inverse of the factor as of any matrix (dgetrf, dgetri), then
/// products and SVD in `Real`: float, as it runs them (sgesdd), or double (dgesdd).
template <typename Real>
Factorisation svdLlmWay(const Matrix<double>& W, const Matrix<double>& C, std::size_t rank);

/// ||W X - B A X||_F^2 over ||W X||_F^2.
double relativeLoss(const LinearProblem& problem, const Factorisation& factors);

} // namespace rankwright::benchmarks
