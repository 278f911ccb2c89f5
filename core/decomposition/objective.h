#pragma once

#include "core/decomposition/method.h"

#include <vector>

namespace rankwright {

/// The loss of a linear brought to one form for all methods: for W_hat = P target with an orthogonal projection P and
/// D = target - W_hat,  loss = constant + 2 tr(residual D^T) + tr(D C D^T).
/// Ordinary: target = W, constant and residual are zero. Anchored (AA-SVD, methods 23): target is the least-squares
/// solution of min ||W X - V X_hat||_F over V, constant its loss, and residual what the normal equations miss,
/// W Cx - V C_hat: zero but for rounding and pseudo-inverses, and kept so that the loss is exact all the same.
struct Objective
{
    Matrix<double> target;
    const Matrix<double>* secondMoment = nullptr; ///< C or C_hat; null for C = I
    Matrix<double> residual;                      ///< empty for zero
    double constant = 0.0;
    std::size_t rankBound = 0; ///< C has at most this rank: tokens, and channels that are not always zero
    std::vector<NumericEvent> events;
};

/// Checks a problem and makes its objective. Throws Error(NonFinite) naming the linear, Error(Mismatch) for statistics
/// of another width, Error(InvalidArgument) where `method` needs statistics or cannot be anchored.
Objective makeObjective(const Device& device, const Method& method, const LinearProblem& problem);

/// A H with C = H + H^T for a symmetric C (n x n), A of k x n: what quadratic forms of C need at half the cost of A C.
/// H is the upper triangle of C by square blocks, those on the diagonal halved.
Matrix<double> upperProduct(const Device& device, const Matrix<double>& A, const Matrix<double>& C);

/// tr(A C B^T) for A, B of k x n; C = I if null.
double weightedProduct(const Device& device, const Matrix<double>& A, const Matrix<double>* C, const Matrix<double>& B);

/// a_i C a_i^T for every row of A.
std::vector<double> weightedRowEnergies(const Device& device, const Matrix<double>& A, const Matrix<double>* C);

} // namespace rankwright
