#pragma once

#include "core/calibration/statistics.h"
#include "core/decomposition/method.h"
#include "core/tensor/matrix.h"
#include "core/tensor/sparse_matrix.h"

#include <algorithm>
#include <cmath>
#include <lapacke.h>
#include <random>
#include <stdexcept>
#include <vector>

// Independent routes for the tests: plain loops and LAPACK's own SVD and Cholesky, none of the engine's kernels.

namespace reference {

using rankwright::Matrix;
using rankwright::TapStatistics;

inline Matrix<double> randomMatrix(std::size_t rows, std::size_t columns, unsigned seed)
{
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal;
    Matrix<double> result(rows, columns);
    for (double& value : result.span())
        value = normal(generator);
    return result;
}

/// float32 weights as a checkpoint holds them.
inline Matrix<double> randomWeights(std::size_t rows, std::size_t columns, unsigned seed)
{
    Matrix<double> result = randomMatrix(rows, columns, seed);
    for (double& value : result.span())
        value = static_cast<double>(static_cast<float>(0.05 * value));
    return result;
}

inline Matrix<double> transposed(const Matrix<double>& A)
{
    Matrix<double> result(A.columns(), A.rows());
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t j = 0; j < A.columns(); ++j)
            result(j, i) = A(i, j);
    return result;
}

inline Matrix<double> product(const Matrix<double>& A, const Matrix<double>& B)
{
    Matrix<double> C(A.rows(), B.columns());
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t k = 0; k < A.columns(); ++k) {
            const double a = A(i, k);
            for (std::size_t j = 0; j < B.columns(); ++j)
                C(i, j) += a * B(k, j);
        }
    return C;
}

/// B A + S.
inline Matrix<double> sumOf(const Matrix<double>& B, const Matrix<double>& A, const rankwright::SparseMatrix<double>& S)
{
    Matrix<double> W = product(B, A);
    for (std::size_t i = 0; i + 1 < S.rowStart.size(); ++i)
        for (std::size_t e = S.rowStart[i]; e < S.rowStart[i + 1]; ++e)
            W(i, S.column[e]) += S.values[e];
    return W;
}

/// W_hat of an analysis, its factors multiplied by plain loops.
inline Matrix<double> approximation(const rankwright::Analysis& analysis, std::size_t rank)
{
    const rankwright::Factorisation factors = analysis.factorize(rank);
    return sumOf(factors.B, factors.A, factors.sparse);
}

inline double relative(double value, double expected)
{
    return std::abs(value - expected) / std::max(std::abs(expected), 1e-300);
}

inline Matrix<double> difference(const Matrix<double>& A, const Matrix<double>& B)
{
    Matrix<double> C = A;
    for (std::size_t i = 0; i < C.size(); ++i)
        C.data()[i] -= B.data()[i];
    return C;
}

inline double squaredNorm(const Matrix<double>& A)
{
    double sum = 0.0;
    for (const double value : A.span())
        sum += value * value;
    return sum;
}

struct Svd
{
    Matrix<double> U;
    std::vector<double> S;
    Matrix<double> Vt;

    Matrix<double> truncated(std::size_t rank) const
    {
        Matrix<double> result(U.rows(), Vt.columns());
        for (std::size_t i = 0; i < U.rows(); ++i)
            for (std::size_t k = 0; k < rank; ++k)
                for (std::size_t j = 0; j < Vt.columns(); ++j)
                    result(i, j) += U(i, k) * S[k] * Vt(k, j);
        return result;
    }
    double tail(std::size_t rank) const
    {
        double sum = 0.0;
        for (std::size_t i = S.size(); i-- > rank;)
            sum += S[i] * S[i];
        return sum;
    }
};

inline Svd svd(Matrix<double> A)
{
    const std::size_t k = std::min(A.rows(), A.columns());
    Svd result{Matrix<double>(A.rows(), k), std::vector<double>(k), Matrix<double>(k, A.columns())};
    const int info = LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', static_cast<int>(A.rows()), static_cast<int>(A.columns()),
                                    A.data(), static_cast<int>(A.columns()), result.S.data(), result.U.data(),
                                    static_cast<int>(k), result.Vt.data(), static_cast<int>(A.columns()));
    if (info != 0)
        throw std::runtime_error("dgesdd failed");
    return result;
}

/// Lower L with L L^T = C.
inline Matrix<double> cholesky(Matrix<double> C)
{
    const int n = static_cast<int>(C.rows());
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', n, C.data(), n) != 0)
        throw std::runtime_error("dpotrf failed");
    for (std::size_t i = 0; i < C.rows(); ++i)
        for (std::size_t j = i + 1; j < C.columns(); ++j)
            C(i, j) = 0.0;
    return C;
}

inline Matrix<double> inverse(Matrix<double> A)
{
    const int n = static_cast<int>(A.rows());
    std::vector<int> pivots(A.rows());
    if (LAPACKE_dgetrf(LAPACK_ROW_MAJOR, n, n, A.data(), n, pivots.data()) != 0 ||
        LAPACKE_dgetri(LAPACK_ROW_MAJOR, n, A.data(), n, pivots.data()) != 0)
        throw std::runtime_error("dgetri failed");
    return A;
}

/// C^{power} through dsyev, negative powers only where eigenvalues exceed `cut` of the largest.
inline Matrix<double> symmetricPower(Matrix<double> C, double power, double cut = 1e-12)
{
    const std::size_t n = C.rows();
    std::vector<double> values(n);
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', static_cast<int>(n), C.data(), static_cast<int>(n), values.data()) !=
        0)
        throw std::runtime_error("dsyev failed");
    Matrix<double> scaled = C;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
            scaled(i, j) *= values[j] > cut * values[n - 1] ? std::pow(values[j], power) : 0.0;
    return product(scaled, transposed(C));
}

/// Correlated inputs, n x T: a random mix of channels of unequal size.
inline Matrix<double> correlatedInputs(std::size_t channels, std::size_t tokens, unsigned seed)
{
    Matrix<double> mix = randomMatrix(channels, channels, seed);
    Matrix<double> sources = randomMatrix(channels, tokens, seed + 1);
    for (std::size_t i = 0; i < channels; ++i)
        for (std::size_t t = 0; t < tokens; ++t)
            sources(i, t) *= std::pow(static_cast<double>(i) + 1.0, -0.8);
    return product(mix, sources);
}

inline TapStatistics statisticsOf(const Matrix<double>& X)
{
    TapStatistics statistics;
    statistics.tokens = X.columns();
    statistics.secondMoment = product(X, transposed(X));
    for (std::size_t j = 0; j < X.rows(); ++j) {
        double sum = 0.0;
        double sumAbs = 0.0;
        for (std::size_t t = 0; t < X.columns(); ++t) {
            sum += X(j, t);
            sumAbs += std::abs(X(j, t));
        }
        statistics.sum.push_back(sum);
        statistics.sumAbs.push_back(sumAbs);
    }
    return statistics;
}

/// Anchored: dense inputs X, inputs of the compressed prefix Xh.
inline TapStatistics anchoredStatistics(const Matrix<double>& X, const Matrix<double>& Xh)
{
    TapStatistics statistics = statisticsOf(Xh);
    statistics.denseSecondMoment = product(X, transposed(X));
    statistics.crossMoment = product(X, transposed(Xh));
    statistics.denseSum = statisticsOf(X).sum;
    return statistics;
}

/// Statistics of gradients of a linear with so many inputs, with moments of weight gradients of 40 windows; squares of
/// every input are the diagonal of theirs.
inline TapStatistics gradientsOf(const Matrix<double>& gradients, std::size_t columns)
{
    TapStatistics statistics = statisticsOf(gradients);
    statistics.weightInputs = Matrix<double>(columns, columns);
    statistics.weightOutputs = Matrix<double>(gradients.rows(), gradients.rows());
    const auto add = [](Matrix<double>& sum, const Matrix<double>& part) {
        for (std::size_t i = 0; i < sum.size(); ++i)
            sum.data()[i] += part.data()[i];
    };
    for (unsigned window = 0; window < 40; ++window) {
        Matrix<double> V = randomMatrix(gradients.rows(), columns, 900 + window);
        for (std::size_t i = 0; i < V.rows(); ++i)
            for (std::size_t j = 0; j < V.columns(); ++j)
                V(i, j) *= 1.0 + static_cast<double>((7 * j + 3 * i) % 11);
        add(statistics.weightInputs, product(transposed(V), V));
        add(statistics.weightOutputs, product(V, transposed(V)));
    }
    for (std::size_t j = 0; j < columns; ++j)
        statistics.weightSquares.push_back(statistics.weightInputs(j, j));
    return statistics;
}

/// ||W X - V Xh||_F^2 from the activations themselves.
inline double outputError(const Matrix<double>& W, const Matrix<double>& X, const Matrix<double>& V,
                          const Matrix<double>& Xh)
{
    return squaredNorm(difference(product(W, X), product(V, Xh)));
}

/// Sums over the tokens of ||W x + b - V xh - c||^2 from the activations themselves; empty biases are zero.
inline double outputError(const Matrix<double>& W, const std::vector<float>& b, const Matrix<double>& X,
                          const Matrix<double>& V, const std::vector<double>& c, const Matrix<double>& Xh)
{
    Matrix<double> error = difference(product(W, X), product(V, Xh));
    for (std::size_t i = 0; i < error.rows(); ++i)
        for (std::size_t t = 0; t < error.columns(); ++t)
            error(i, t) += (b.empty() ? 0.0 : static_cast<double>(b[i])) - (c.empty() ? 0.0 : c[i]);
    return squaredNorm(error);
}

/// Inputs whose channels have means of their own, as large as their spread.
inline Matrix<double> shiftedInputs(std::size_t channels, std::size_t tokens, unsigned seed)
{
    Matrix<double> X = correlatedInputs(channels, tokens, seed);
    const Matrix<double> means = randomMatrix(channels, 1, seed + 77);
    for (std::size_t i = 0; i < channels; ++i)
        for (std::size_t t = 0; t < tokens; ++t)
            X(i, t) += 3.0 * means(i, 0);
    return X;
}

} // namespace reference
