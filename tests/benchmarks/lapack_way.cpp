#include "tests/benchmarks/lapack_way.h"

#include "core/compute/blas_size.h"
#include "tests/benchmarks/support.h"

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

/// C = A B^T.
void productTransposed(const Matrix<float>& A, const Matrix<float>& B, Matrix<float>& C)
{
    const int k = blasSize(A.columns());
    const int n = blasSize(C.columns());
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blasSize(C.rows()), n, k, 1.0F, A.data(), k, B.data(), k, 0.0F,
                C.data(), n);
}
void productTransposed(const Matrix<double>& A, const Matrix<double>& B, Matrix<double>& C)
{
    const int k = blasSize(A.columns());
    const int n = blasSize(C.columns());
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blasSize(C.rows()), n, k, 1.0, A.data(), k, B.data(), k, 0.0,
                C.data(), n);
}

int gesdd(int m, int n, float* A, float* s, float* U, float* Vt, int k)
{
    return LAPACKE_sgesdd(LAPACK_COL_MAJOR, 'S', m, n, A, m, s, U, m, Vt, k);
}
int gesdd(int m, int n, double* A, double* s, double* U, double* Vt, int k)
{
    return LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', m, n, A, m, s, U, m, Vt, k);
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
    requireSuccess(gesdd(n, m, M.data(), s.data(), Vt.data(), U.data(), blasSize(k)), "dgesdd", k);

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

template <typename Real>
Factorisation svdLlmWay(const Matrix<double>& W, const Matrix<double>& C, std::size_t rank)
{
    const Matrix<double> L = choleskyFactor(C);
    const int m = blasSize(W.rows());
    const int n = blasSize(W.columns());
    Matrix<double> inverse64 = L;
    std::vector<int> pivots(W.columns());
    requireSuccess(LAPACKE_dgetrf(LAPACK_COL_MAJOR, n, n, inverse64.data(), n, pivots.data()), "dgetrf", W.columns());
    requireSuccess(LAPACKE_dgetri(LAPACK_COL_MAJOR, n, inverse64.data(), n, pivots.data()), "dgetri", W.columns());
    const Matrix<Real> inverse = convertMatrix<Real>(inverse64);
    Matrix<Real> M(W.rows(), W.columns());
    productTransposed(convertMatrix<Real>(W), convertMatrix<Real>(L), M);

    const std::size_t k = std::min(W.rows(), W.columns());
    std::vector<Real> s(k);
    Matrix<Real> Vt(k, W.columns());
    Matrix<Real> U(W.rows(), k);
    requireSuccess(gesdd(n, m, M.data(), s.data(), Vt.data(), U.data(), blasSize(k)), "gesdd", k);

    Matrix<Real> B(W.rows(), rank);
    for (std::size_t i = 0; i < W.rows(); ++i)
        for (std::size_t j = 0; j < rank; ++j)
            B(i, j) = U(i, j) * std::sqrt(s[j]);
    Matrix<Real> leading(rank, W.columns());
    for (std::size_t i = 0; i < rank; ++i)
        for (std::size_t j = 0; j < W.columns(); ++j)
            leading(i, j) = Vt(i, j) * std::sqrt(s[i]);
    Matrix<Real> A(rank, W.columns());
    productTransposed(leading, inverse, A);
    return {convertMatrix<double>(B), convertMatrix<double>(A)};
}

template Factorisation svdLlmWay<float>(const Matrix<double>&, const Matrix<double>&, std::size_t);
template Factorisation svdLlmWay<double>(const Matrix<double>&, const Matrix<double>&, std::size_t);

double relativeLoss(const LinearProblem& problem, const Factorisation& factors)
{
    Matrix<double> product(problem.W.rows(), problem.W.columns());
    cpu().gemm(Transpose::No, Transpose::No, 1.0, factors.B.view(), factors.A.view(), 0.0, product.view());
    return measureLoss(cpu(), problem.W, product, problem.statistics) /
           measureLoss(cpu(), problem.W, Matrix<double>(product.rows(), product.columns()), problem.statistics);
}

} // namespace rankwright::benchmarks
