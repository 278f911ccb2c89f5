#include "core/compute/symmetric_eigen.h"

#include "core/base/error.h"
#include "core/compute/blas_size.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
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

/// Z = Q Z for the Q = H_1 ... H_(n-1) that dsytrd left below the diagonal of the column-major n x n matrix A; Z is
/// column-major n x columns. As dormtr, with wider blocks than its limit of 64.
void applyTridiagonalBasis(const Matrix<double>& A, const std::vector<double>& tau, double* Z, std::size_t columns)
{
    constexpr std::size_t blockSize = 128;
    const std::size_t n = A.rows();
    if (n < 2 || columns == 0)
        return;
    const std::size_t width = std::min(blockSize, n - 1);
    AlignedVector<double> T(width * width);
    AlignedVector<double> work(columns * width);
    const int ld = blasSize(n);
    for (std::size_t block = (n - 2) / width + 1; block-- > 0;) {
        const std::size_t first = block * width;
        const int reflectors = blasSize(std::min(width, n - 1 - first));
        const int height = blasSize(n - 1 - first);
        const double* V = A.data() + first * n + first + 1;
        int info = LAPACKE_dlarft_work(LAPACK_COL_MAJOR, /*direct*/ 'F', /*storev*/ 'C', /*n*/ height,
                                       /*k*/ reflectors, V, /*ldv*/ ld, tau.data() + first, T.data(),
                                       /*ldt*/ blasSize(width));
        requireSuccess(info, "dlarft", n);
        info = LAPACKE_dlarfb_work(LAPACK_COL_MAJOR, /*side*/ 'L', /*trans*/ 'N', /*direct*/ 'F', /*storev*/ 'C',
                                   /*m*/ height, /*n*/ blasSize(columns), /*k*/ reflectors, V, /*ldv*/ ld, T.data(),
                                   /*ldt*/ blasSize(width), Z + first + 1, /*ldc*/ ld, work.data(),
                                   /*ldwork*/ blasSize(columns));
        requireSuccess(info, "dlarfb", n);
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
    double* last = Z.row(n - wanted);
    applyTridiagonalBasis(A, tau, last, wanted);
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
