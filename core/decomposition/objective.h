#pragma once

#include "core/decomposition/method.h"

#include <memory>
#include <vector>

namespace rankwright {

/// b_hat = b + W mean(x) - W_hat mean(x_hat) (methods 0.3 and 23): the best bias for any W_hat.
struct BiasUpdate
{
    std::vector<double> inputMean;  ///< of x_hat; empty: the bias stays as it is
    std::vector<double> outputMean; ///< b + W mean(x)

    /// Sets the bias of a factorisation.
    void apply(Factorisation& factorisation) const;
};

/// Second moments about the means: C - T mean mean^T, and the anchored ones likewise.
TapStatistics centredStatistics(const TapStatistics& statistics);

/// What anchored statistics say of x - x_hat, the change of the inputs by the compressed prefix.
struct InputShift
{
    Matrix<double> cross;  ///< sum (x - x_hat) x_hat^T
    Matrix<double> spread; ///< sum (x - x_hat) (x - x_hat)^T
};
InputShift inputShift(const TapStatistics& anchored);
/// Sum over tokens of W x - W_hat x_hat (x_hat = x where statistics are not anchored), m values.
std::vector<double> outputErrorSum(const Matrix<double>& W, const Matrix<double>& approximation,
                                   const TapStatistics& statistics);

/// The loss of a linear brought to one form for all methods: for W_hat = P target with an orthogonal projection P and
/// D = target - W_hat,  loss = constant + 2 tr(residual D^T) + tr(D C D^T).
/// Ordinary: target = W, constant and residual are zero. Anchored (AA-SVD, methods 23): target is the least-squares
/// solution of min ||W X - V X_hat||_F^2 + ridge ||(V - W) diag(C_hat)^{1/2}||_F^2 over V, constant its loss without
/// the ridge, and residual what the normal equations miss, W Cx - V C_hat: zero but for the ridge, rounding and
/// pseudo-inverses, and kept so that the loss is exact all the same.
struct Objective
{
    Matrix<double> target;
    const Matrix<double>* secondMoment = nullptr; ///< C or C_hat; null for C = I
    Matrix<double> residual;                      ///< empty for zero
    double constant = 0.0;
    std::size_t rankBound = 0; ///< C has at most this rank: tokens, and channels that are not always zero
    BiasUpdate bias;
    std::shared_ptr<const TapStatistics> centred; ///< owns `secondMoment` where the bias is updated, else null
    std::vector<NumericEvent> events;
};

/// Checks a problem and makes its objective, centred where the parameters say that the bias is updated. Throws
/// Error(NonFinite) naming the linear, Error(Mismatch) for statistics of another width, Error(InvalidArgument) for
/// parameters that the method does not have, where `method` needs statistics, or cannot be anchored.
Objective makeObjective(const Device& device, const Method& method, const LinearProblem& problem,
                        const MethodParameters& parameters);
/// biasUpdateParameter as methods list it.
ParameterInfo biasUpdateInfo();
/// anchorRidgeParameter as methods that can be anchored list it.
ParameterInfo anchorRidgeInfo();

/// X with (C + ridge diag(C)) X = R for a symmetric positive semidefinite C, in place of R; C scaled to unit diagonal
/// first, so that channels of very different size are treated alike; the rows of X are zero for those that are zero but
/// for rounding. Falls back to the pseudo-inverse where C is
/// singular, or where `rankBound` says so, and notes it (event "pseudoInverse").
void solveSemidefinite(const Device& device, const Matrix<double>& C, std::size_t rankBound, Matrix<double>& R,
                       const std::string& name, std::vector<NumericEvent>& events, double ridge = 0.0);

/// A B, each transposed where so asked.
Matrix<double> product(const Device& device, Transpose transposeA, const Matrix<double>& A, Transpose transposeB,
                       const Matrix<double>& B);

/// A H with C = H + H^T for a symmetric C (n x n), A of k x n: what quadratic forms of C need at half the cost of A C.
/// H is the upper triangle of C by square blocks, those on the diagonal halved.
Matrix<double> upperProduct(const Device& device, const Matrix<double>& A, const Matrix<double>& C);

/// tr(A C B^T) for A, B of k x n; C = I if null.
double weightedProduct(const Device& device, const Matrix<double>& A, const Matrix<double>* C, const Matrix<double>& B);

/// a_i C a_i^T for every row of A.
std::vector<double> weightedRowEnergies(const Device& device, const Matrix<double>& A, const Matrix<double>* C);

} // namespace rankwright
