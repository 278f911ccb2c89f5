#include "tests/benchmarks/lapack_way.h"

#include "core/compute/blas_size.h"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>

namespace rankwright::benchmarks {

// Row-major matrices are their transposes in the column-major order of LAPACK: the lower factor L is held as the
// row-major upper L^T, and the SVD of (W L)^T gives V and U^T where U and V^T are asked for.

namespace {

/// L^T in the upper triangle, zeros below.
Matrix<double> choleskyFactor(const Matrix<double>& C)
{
    Matrix<double> factor = C;
    const int n = blasSize(C.rows());
    requireSuccess(LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', n, factor.data(), n), "dpotrf", C.rows());
    for (std::size_t i = 0; i < C.rows(); ++i)
        std::fill_n(factor.row(i), i, 0.0);
    return factor;
}

} // namespace

Factorisation lapackWay(const Matrix<double>& W, const Matrix<double>& C, std::size_t rank)
{
    const Matrix<double> L = choleskyFactor(C);
    const int m = blasSize(W.rows());
    const int n = blasSize(W.columns());
    Matrix<double> inverse = L;
    requireSuccess(LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'L', 'N', n, inverse.data(), n), "dtrtri", W.columns());
    Matrix<double> M = W;
    cblas_dtrmm(CblasRowMajor, CblasRight, CblasUpper, CblasTrans, CblasNonUnit, m, n, 1.0, L.data(), n, M.data(), n);

    const std::size_t k = std::min(W.rows(), W.columns());
    std::vector<double> s(k);
    Matrix<double> Vt(k, W.columns());
    Matrix<double> U(W.rows(), k);
    requireSuccess(
        LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', n, m, M.data(), n, s.data(), Vt.data(), n, U.data(), blasSize(k)),
        "dgesdd", k);

    Factorisation result{Matrix<double>(W.rows(), rank), Matrix<double>(rank, W.columns())};
    for (std::size_t i = 0; i < W.rows(); ++i)
        for (std::size_t j = 0; j < rank; ++j)
            result.B(i, j) = U(i, j) * std::sqrt(s[j]);
    for (std::size_t i = 0; i < rank; ++i)
        for (std::size_t j = 0; j < W.columns(); ++j)
            result.A(i, j) = Vt(i, j) * std::sqrt(s[i]);
    cblas_dtrmm(CblasRowMajor, CblasRight, CblasUpper, CblasTrans, CblasNonUnit, blasSize(rank), n, 1.0, inverse.data(),
                n, result.A.data(), n);
    return result;
}

Factorisation svdLlmWay(const Matrix<double>& W, const Matrix<double>& C, std::size_t rank)
{
    const Matrix<double> L = choleskyFactor(C);
    const int m = blasSize(W.rows());
    const int n = blasSize(W.columns());
    Matrix<double> inverse64 = L;
    std::vector<int> pivots(W.columns());
    requireSuccess(LAPACKE_dgetrf(LAPACK_COL_MAJOR, n, n, inverse64.data(), n, pivots.data()), "dgetrf", W.columns());
    requireSuccess(LAPACKE_dgetri(LAPACK_COL_MAJOR, n, inverse64.data(), n, pivots.data()), "dgetri", W.columns());
    const Matrix<float> inverse = convertMatrix<float>(inverse64);
    const Matrix<float> weights = convertMatrix<float>(W);
    const Matrix<float> factor = convertMatrix<float>(L);
    Matrix<float> M(W.rows(), W.columns());
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, n, 1.0F, weights.data(), n, factor.data(), n, 0.0F,
                M.data(), n);

    const std::size_t k = std::min(W.rows(), W.columns());
    std::vector<float> s(k);
    Matrix<float> Vt(k, W.columns());
    Matrix<float> U(W.rows(), k);
    requireSuccess(
        LAPACKE_sgesdd(LAPACK_COL_MAJOR, 'S', n, m, M.data(), n, s.data(), Vt.data(), n, U.data(), blasSize(k)),
        "sgesdd", k);

    Matrix<float> B(W.rows(), rank);
    for (std::size_t i = 0; i < W.rows(); ++i)
        for (std::size_t j = 0; j < rank; ++j)
            B(i, j) = U(i, j) * std::sqrt(s[j]);
    for (std::size_t i = 0; i < rank; ++i)
        for (std::size_t j = 0; j < W.columns(); ++j)
            Vt(i, j) *= std::sqrt(s[i]);
    Matrix<float> A(rank, W.columns());
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blasSize(rank), n, n, 1.0F, Vt.data(), n, inverse.data(), n,
                0.0F, A.data(), n);
    return {convertMatrix<double>(B), convertMatrix<double>(A)};
}

} // namespace rankwright::benchmarks
