#include "core/compute/symmetric_eigen.h"

#include "core/base/error.h"
#include "core/compute/blas_size.h"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>
#include <utility>

namespace rankwright {

namespace {

/// A power of two that brings the largest |a_ij| of the upper triangle into the range where squares neither overflow
/// nor vanish; 1 for ordinary matrices.
double rangeScale(const Matrix<double>& A)
{
    double largest = 0;
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t j = i; j < A.columns(); ++j)
            largest = std::max(largest, std::abs(A(i, j)));
    if (largest == 0 || (largest > 1e-140 && largest < 1e140))
        return 1;
    return std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
}

void scaleMatrix(Matrix<double>& A, double factor)
{
    for (double& value : A.span())
        value *= factor;
}

/// Rows of Z times Q^T for the Q = H_1 ... H_(n-1), H_i = I - tau_i v_i v_i^T, that dsytrd left in A: v_i is row i of
/// the row-major A from column i + 1 on, its first entry taken as 1. Blocks of reflectors are applied in the compact
/// form I - V^T T V (Schreiber and Van Loan, 1989) by plain products: as fast as dormtr for small matrices, faster
/// for large ones (the whole decomposition with all vectors by a tenth at n = 1536).
void applyTridiagonalBasis(const Matrix<double>& A, const std::vector<double>& tau, MatrixView<double> Z)
{
    constexpr std::size_t blockSize = 64;
    const std::size_t n = A.rows();
    if (n < 2)
        return;
    const std::size_t width = std::min(blockSize, n - 1);
    AlignedVector<double> storageV(width * (n - 1));
    AlignedVector<double> storageT(width * width);
    AlignedVector<double> products(width * width);
    AlignedVector<double> projected(Z.rows * width);
    AlignedVector<double> weighted(Z.rows * width);
    const int rows = blasSize(Z.rows);
    const int ldz = blasSize(Z.stride);
    for (std::size_t block = (n - 2) / width + 1; block-- > 0;) {
        const std::size_t first = block * width;
        const std::size_t count = std::min(width, n - 1 - first);
        const std::size_t length = n - 1 - first;
        const MatrixView<double> V{storageV.data(), count, length, length};
        for (std::size_t i = 0; i < count; ++i) {
            std::fill_n(V.row(i), i, 0.0);
            V(i, i) = 1;
            std::copy_n(A.row(first + i) + first + 1 + i + 1, length - i - 1, V.row(i) + i + 1);
        }
        const int k = blasSize(count);
        const int h = blasSize(length);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, k, h, 1.0, V.data, h, 0.0, products.data(), k);
        // T is upper triangular, column i: T(:i, i) = -tau_i T(:i, :i) (V V^T)(:i, i), T(i, i) = tau_i.
        const MatrixView<double> T{storageT.data(), count, count, count};
        for (std::size_t i = 0; i < count; ++i) {
            std::fill_n(T.row(i), i, 0.0);
            for (std::size_t a = 0; a < i; ++a) {
                double sum = 0;
                for (std::size_t b = a; b < i; ++b)
                    sum += T(a, b) * products[b * count + i];
                T(a, i) = -tau[first + i] * sum;
            }
            T(i, i) = tau[first + i];
        }
        double* part = Z.data + first + 1;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, k, h, 1.0, part, ldz, V.data, h, 0.0,
                    projected.data(), k);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, k, k, 1.0, projected.data(), k, T.data, k, 0.0,
                    weighted.data(), k);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, h, k, -1.0, weighted.data(), k, V.data, h, 1.0,
                    part, ldz);
    }
}

} // namespace

SymmetricEigen symmetricEigenLapack(Matrix<double> A, std::size_t wanted)
{
    const std::size_t n = A.rows();
    if (A.columns() != n || wanted > n)
        throw Error(ErrorKind::Internal,
                    fmt::format("symmetricEigen: {} of the eigenvectors of a {}x{} matrix", wanted, n, A.columns()));
    SymmetricEigen result;
    if (n == 0)
        return result;
    if (wanted == 0)
        wanted = n;
    requireFinite(A.view(), 1, "symmetricEigen");
    const double scale = rangeScale(A);
    if (scale != 1)
        scaleMatrix(A, scale);

    // The upper triangle of the row-major matrix is the lower one of LAPACK's column-major matrix.
    const int size = blasSize(n);
    std::vector<double> diagonal(n);
    std::vector<double> offDiagonal(n);
    std::vector<double> tau(n);
    constexpr std::size_t tridiagonalBlock = 64;
    // Workspaces by the formulas of the documentation: a query answers in floating point and may round down.
    AlignedVector<double> work(n * tridiagonalBlock);
    int info = LAPACKE_dsytrd_work(LAPACK_COL_MAJOR, /*uplo*/ 'L', size, A.data(), /*lda*/ size, diagonal.data(),
                                   offDiagonal.data(), tau.data(), work.data(), /*lwork*/ blasSize(work.size()));
    requireSuccess(info, "dsytrd", n);

    Matrix<double> Z(n, n);
    work.resize(1 + 4 * n + n * n);
    std::vector<int> integerWork(3 + 5 * n);
    info = LAPACKE_dstedc_work(LAPACK_COL_MAJOR, /*compz*/ 'I', size, diagonal.data(), offDiagonal.data(), Z.data(),
                               /*ldz*/ size, work.data(), /*lwork*/ blasSize(work.size()), integerWork.data(),
                               /*liwork*/ blasSize(integerWork.size()));
    if (info > 0)
        throw Error(ErrorKind::Numeric,
                    fmt::format("LAPACK dstedc found no eigenvalue for rows {} to {} of a matrix of size {}",
                                static_cast<std::size_t>(info) / (n + 1), static_cast<std::size_t>(info) % (n + 1), n));
    requireSuccess(info, "dstedc", n);
    work = {};

    // Ascending eigenvalues: the wanted vectors are the last columns, which are the last rows in row-major order.
    applyTridiagonalBasis(A, tau, Z.view().rowRange(n - wanted, wanted));
    result.values.resize(wanted);
    for (std::size_t i = 0; i < wanted; ++i)
        result.values[i] = diagonal[n - 1 - i] / scale;
    if (wanted == n) {
        result.vectors = std::move(Z);
        for (std::size_t i = 0; i < n / 2; ++i)
            std::swap_ranges(result.vectors.row(i), result.vectors.row(i) + n, result.vectors.row(n - 1 - i));
    } else {
        result.vectors.reshape(wanted, n);
        for (std::size_t i = 0; i < wanted; ++i)
            std::copy_n(Z.row(n - 1 - i), n, result.vectors.row(i));
    }
    return result;
}

} // namespace rankwright
