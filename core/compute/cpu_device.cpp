#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/blas_size.h"
#include "core/compute/cpu_info.h"
#include "core/compute/device.h"
#include "core/compute/symmetric_eigen.h"

#include <algorithm>
#include <cblas.h>
#include <fmt/format.h>
#include <lapacke.h>
#include <mutex>
#include <set>
#include <utility>

namespace rankwright {

namespace {

CBLAS_TRANSPOSE cblasTranspose(Transpose transpose)
{
    return transpose == Transpose::Yes ? CblasTrans : CblasNoTrans;
}

void require(bool holds, const char* operation, const std::string& shapes)
{
    if (!holds)
        throw Error(ErrorKind::Internal, fmt::format("{}: shapes do not fit: {}", operation, shapes));
}

template <typename T>
std::string shapeOf(const MatrixView<T>& view)
{
    return fmt::format("{}x{} (stride {})", view.rows, view.columns, view.stride);
}

template <typename T>
bool hasValidStride(const MatrixView<T>& view)
{
    return view.rows <= 1 || view.stride >= view.columns;
}

template <typename T>
int leadingDimension(const MatrixView<T>& view)
{
    return blasSize(std::max<std::size_t>({1, view.stride, view.columns}));
}

/// Sizes m, n, k of C = op(A) op(B), checked.
struct ProductSizes
{
    int m, n, k;
};

template <typename T>
ProductSizes productSizes(Transpose transposeA, Transpose transposeB, const ConstMatrixView<T>& A,
                          const ConstMatrixView<T>& B, const MatrixView<T>& C)
{
    const auto [m, k] = transposeA == Transpose::Yes ? std::pair(A.columns, A.rows) : std::pair(A.rows, A.columns);
    const auto [k2, n] = transposeB == Transpose::Yes ? std::pair(B.columns, B.rows) : std::pair(B.rows, B.columns);
    const bool fits = k == k2 && C.rows == m && C.columns == n && hasValidStride(A) && hasValidStride(B);
    require(fits && hasValidStride(C), "gemm",
            fmt::format("A {}{}, B {}{}, C {}", shapeOf(A), transposeA == Transpose::Yes ? "^T" : "", shapeOf(B),
                        transposeB == Transpose::Yes ? "^T" : "", shapeOf(C)));
    return {blasSize(m), blasSize(n), blasSize(k)};
}

class CpuDevice final : public Device
{
public:
    explicit CpuDevice(std::size_t threads)
        : m_threads(threads == 0 ? processorCount() : threads)
    {}

    DeviceInfo info() const override { return cpuInfo(m_threads); }

    void gemm(Transpose transposeA, Transpose transposeB, float alpha, ConstMatrixView<float> A,
              ConstMatrixView<float> B, float beta, MatrixView<float> C) const override
    {
        const auto [m, n, k] = productSizes(transposeA, transposeB, A, B, C);
        if (m == 1 && transposeA == Transpose::No) {
            // One row reads B once; sgemm would copy all of it first.
            const auto [rows, columns] = transposeB == Transpose::Yes ? std::pair(n, k) : std::pair(k, n);
            cblas_sgemv(CblasRowMajor, transposeB == Transpose::Yes ? CblasNoTrans : CblasTrans, rows, columns, alpha,
                        B.data, leadingDimension(B), A.data, /* incX = */ 1, beta, C.data, /* incY = */ 1);
            return;
        }
        cblas_sgemm(CblasRowMajor, cblasTranspose(transposeA), cblasTranspose(transposeB), m, n, k, alpha, A.data,
                    leadingDimension(A), B.data, leadingDimension(B), beta, C.data, leadingDimension(C));
    }

    void gemm(Transpose transposeA, Transpose transposeB, double alpha, ConstMatrixView<double> A,
              ConstMatrixView<double> B, double beta, MatrixView<double> C) const override
    {
        const auto [m, n, k] = productSizes(transposeA, transposeB, A, B, C);
        cblas_dgemm(CblasRowMajor, cblasTranspose(transposeA), cblasTranspose(transposeB), m, n, k, alpha, A.data,
                    leadingDimension(A), B.data, leadingDimension(B), beta, C.data, leadingDimension(C));
    }

    void addSecondMoment(ConstMatrixView<float> X, MatrixView<double> C) const override;
    void gram(Transpose transposeA, ConstMatrixView<double> A, MatrixView<double> C) const override;
    SymmetricEigen symmetricEigen(Matrix<double> A, std::size_t wanted) const override
    {
        return symmetricEigenLapack(std::move(A), wanted);
    }
    void solvePositiveDefinite(Matrix<double> S, MatrixView<double> R) const override;
    Matrix<double> cholesky(Matrix<double> S) const override;
    void solveLower(Transpose transposeL, const Matrix<double>& L, MatrixView<double> R) const override;
    void solve(Matrix<double> J, MatrixView<double> R) const override;
    QrFactors qr(Matrix<double> A) const override;
    std::vector<std::size_t> pivotedColumns(Matrix<double> A) const override;

private:
    std::size_t m_threads;
};

void CpuDevice::addSecondMoment(ConstMatrixView<float> X, MatrixView<double> C) const
{
    require(C.rows == X.columns && C.columns == X.columns && hasValidStride(X) && hasValidStride(C), "addSecondMoment",
            fmt::format("X {}, C {}", shapeOf(X), shapeOf(C)));
    // Tiles keep the float32 scratch at 4 MiB per thread whatever the width.
    constexpr std::size_t blockRows = 2048;
    constexpr std::size_t tile = 1024;
    const std::size_t n = X.columns;
    const std::size_t tileWidth = std::min(tile, n);
    thread_local AlignedVector<float> scratch;
    if (scratch.size() < tileWidth * tileWidth)
        scratch.resize(tileWidth * tileWidth);
    const int ldx = leadingDimension(X);
    for (std::size_t t = 0; t < X.rows; t += blockRows) {
        const int rows = blasSize(std::min(blockRows, X.rows - t));
        for (std::size_t i = 0; i < n; i += tile) {
            const std::size_t height = std::min(tile, n - i);
            const float* left = X.row(t) + i;
            for (std::size_t j = i; j < n; j += tile) {
                const std::size_t width = std::min(tile, n - j);
                const float* right = X.row(t) + j;
                const int ld = blasSize(width);
                if (i == j)
                    cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, ld, rows, 1.0F, left, ldx, 0.0F, scratch.data(),
                                ld);
                else
                    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blasSize(height), ld, rows, 1.0F, left, ldx,
                                right, ldx, 0.0F, scratch.data(), ld);
                for (std::size_t a = 0; a < height; ++a) {
                    const std::size_t first = i == j ? a : 0;
                    const float* from = scratch.data() + a * width;
                    double* to = C.row(i + a) + j;
                    for (std::size_t b = first; b < width; ++b)
                        to[b] += static_cast<double>(from[b]);
                }
            }
        }
    }
}

void CpuDevice::gram(Transpose transposeA, ConstMatrixView<double> A, MatrixView<double> C) const
{
    const auto [n, k] = transposeA == Transpose::Yes ? std::pair(A.columns, A.rows) : std::pair(A.rows, A.columns);
    require(C.rows == n && C.columns == n && hasValidStride(A) && hasValidStride(C), "gram",
            fmt::format("A {}, C {}", shapeOf(A), shapeOf(C)));
    cblas_dsyrk(CblasRowMajor, CblasUpper, cblasTranspose(transposeA), blasSize(n), blasSize(k), 1.0, A.data,
                leadingDimension(A), 0.0, C.data, leadingDimension(C));
    mirrorUpperToLower(C);
}

// A row-major matrix is its transpose in the column-major order of LAPACK; the solvers below use that instead of
// copying: the factors LAPACK leaves are read back as row-major triangles.

namespace {

/// Cholesky factor in place of the triangle of S that is `uplo` of the column-major matrix.
void factorPositiveDefinite(Matrix<double>& S, char uplo)
{
    const std::size_t n = S.rows();
    const int size = blasSize(n);
    const int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, uplo, size, S.data(), /*lda*/ size);
    if (info > 0)
        throw Error(ErrorKind::Numeric,
                    fmt::format("matrix of size {} is not positive definite: leading minor {} is not positive; use "
                                "damping or more calibration tokens",
                                n, info));
    requireSuccess(info, "dpotrf", n);
}

} // namespace

Matrix<double> CpuDevice::cholesky(Matrix<double> S) const
{
    const std::size_t n = S.rows();
    require(S.columns() == n, "cholesky", fmt::format("S {}x{}", n, S.columns()));
    if (n == 0)
        return S;
    requireFinite(S.view(), 1, "cholesky");
    // The lower triangle of the row-major matrix is the upper one of the column-major: S = U^T U, L = U^T.
    factorPositiveDefinite(S, 'U');
    for (std::size_t i = 0; i < n; ++i)
        std::fill(S.row(i) + i + 1, S.row(i) + n, 0.0);
    return S;
}

void CpuDevice::solveLower(Transpose transposeL, const Matrix<double>& L, MatrixView<double> R) const
{
    const std::size_t n = L.rows();
    require(L.columns() == n && R.rows == n && hasValidStride(R), "solveLower",
            fmt::format("L {}x{}, R {}", n, L.columns(), shapeOf(R)));
    if (n == 0 || R.columns == 0)
        return;
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, transposeL == Transpose::Yes ? CblasTrans : CblasNoTrans,
                CblasNonUnit, blasSize(n), blasSize(R.columns), 1.0, L.data(), blasSize(n), R.data,
                leadingDimension(R));
}

void CpuDevice::solvePositiveDefinite(Matrix<double> S, MatrixView<double> R) const
{
    const std::size_t n = S.rows();
    require(S.columns() == n && R.rows == n && hasValidStride(R), "solvePositiveDefinite",
            fmt::format("S {}x{}, R {}", n, S.columns(), shapeOf(R)));
    if (n == 0)
        return;
    requireFinite(S.view(), 1, "solvePositiveDefinite");
    const int size = blasSize(n);
    const double norm = LAPACKE_dlansy_work(LAPACK_COL_MAJOR, /*norm*/ '1', /*uplo*/ 'L', size, S.data(), /*lda*/ size,
                                            /*work*/ std::vector<double>(n).data());
    factorPositiveDefinite(S, 'L');
    double reciprocalCondition = 0;
    const int info =
        LAPACKE_dpocon_work(LAPACK_COL_MAJOR, /*uplo*/ 'L', size, S.data(), /*lda*/ size, norm, &reciprocalCondition,
                            /*work*/ std::vector<double>(3 * n).data(), /*iwork*/ std::vector<int>(n).data());
    requireSuccess(info, "dpocon", n);
    requireConditioned(reciprocalCondition, "positive definite", n);
    // S = U^T U with U in the upper triangle of the row-major matrix.
    for (const CBLAS_TRANSPOSE transpose : {CblasTrans, CblasNoTrans})
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, transpose, CblasNonUnit, size, blasSize(R.columns), 1.0,
                    S.data(), size, R.data, leadingDimension(R));
}

void CpuDevice::solve(Matrix<double> J, MatrixView<double> R) const
{
    const std::size_t n = J.rows();
    require(J.columns() == n && R.rows == n && hasValidStride(R), "solve",
            fmt::format("J {}x{}, R {}", n, J.columns(), shapeOf(R)));
    if (n == 0)
        return;
    requireFinite(J.view(), 0, "solve");
    const int size = blasSize(n);
    const double norm = LAPACKE_dlange_work(LAPACK_COL_MAJOR, /*norm*/ '1', size, size, J.data(), /*lda*/ size,
                                            /*work*/ std::vector<double>(n).data());
    std::vector<int> pivots(n);
    int info = LAPACKE_dgetrf_work(LAPACK_COL_MAJOR, size, size, J.data(), /*lda*/ size, pivots.data());
    if (info > 0)
        throw Error(ErrorKind::Numeric, fmt::format("matrix of size {} is singular: pivot {} is zero", n, info));
    requireSuccess(info, "dgetrf", n);
    double reciprocalCondition = 0;
    info = LAPACKE_dgecon_work(LAPACK_COL_MAJOR, /*norm*/ '1', size, J.data(), /*lda*/ size, norm, &reciprocalCondition,
                               /*work*/ std::vector<double>(4 * n).data(), /*iwork*/ std::vector<int>(n).data());
    requireSuccess(info, "dgecon", n);
    requireConditioned(reciprocalCondition, "regular", n);
    // LAPACK factored J^T = P L U, so J = U^T L^T P^T: two triangular solves, then the interchanges backwards.
    const int columns = blasSize(R.columns);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, size, columns, 1.0, J.data(), size,
                R.data, leadingDimension(R));
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasUnit, size, columns, 1.0, J.data(), size,
                R.data, leadingDimension(R));
    for (std::size_t i = n; i-- > 0;) {
        const auto other = static_cast<std::size_t>(pivots[i] - 1);
        if (other != i)
            std::swap_ranges(R.row(i), R.row(i) + R.columns, R.row(other));
    }
}

namespace {

/// Cholesky QR done twice (Yamamoto et al. 2015, "Roundoff error analysis of the CholeskyQR2 algorithm"): products and
/// triangular solves only, as accurate as Householder reflections while cond(A) is well below 1e8. False, with Q = A
/// unspecified, where the reciprocal condition of A^T A says otherwise.
bool choleskyQr(Matrix<double>& A, Matrix<double>& R)
{
    constexpr double leastReciprocalCondition = 1e-12;
    const std::size_t n = A.columns();
    const int rows = blasSize(A.rows());
    const int columns = blasSize(n);
    Matrix<double> factor(n, n);
    for (const bool first : {true, false}) {
        Matrix<double>& G = first ? R : factor;
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, columns, rows, 1.0, A.data(), columns, 0.0, G.data(),
                    columns);
        const double norm = LAPACKE_dlansy_work(LAPACK_COL_MAJOR, /*norm*/ '1', /*uplo*/ 'L', columns, G.data(),
                                                /*lda*/ columns, /*work*/ std::vector<double>(n).data());
        if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, /*uplo*/ 'L', columns, G.data(), /*lda*/ columns) != 0)
            return false;
        double reciprocalCondition = 0;
        LAPACKE_dpocon_work(LAPACK_COL_MAJOR, /*uplo*/ 'L', columns, G.data(), /*lda*/ columns, norm,
                            &reciprocalCondition, /*work*/ std::vector<double>(3 * n).data(),
                            /*iwork*/ std::vector<int>(n).data());
        if (!(reciprocalCondition > leastReciprocalCondition))
            return false;
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, rows, columns, 1.0, G.data(),
                    columns, A.data(), columns);
    }
    cblas_dtrmm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, columns, columns, 1.0, factor.data(),
                columns, R.data(), columns);
    return true;
}

} // namespace

QrFactors CpuDevice::qr(Matrix<double> A) const
{
    const std::size_t m = A.rows();
    const std::size_t n = A.columns();
    require(m >= n, "qr", fmt::format("A {}x{} has more columns than rows", m, n));
    QrFactors result;
    result.R = Matrix<double>(n, n);
    if (n == 0) {
        result.Q = std::move(A);
        return result;
    }
    requireFinite(A.view(), 0, "qr");
    if (m >= 2 * n) {
        Matrix<double> Q = A;
        if (choleskyQr(Q, result.R)) {
            result.Q = std::move(Q);
            return result;
        }
        std::fill(result.R.span().begin(), result.R.span().end(), 0.0);
    }
    // Row-major A = Q R is column-major A^T = R^T Q^T: an LQ factorisation in place.
    constexpr std::size_t blockSize = 64;
    const int rows = blasSize(n);
    const int columns = blasSize(m);
    AlignedVector<double> tau(n);
    AlignedVector<double> work(n * blockSize);
    const int lwork = blasSize(work.size());
    int info =
        LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, rows, columns, A.data(), /*lda*/ rows, tau.data(), work.data(), lwork);
    requireSuccess(info, "dgelqf", n);
    for (std::size_t i = 0; i < n; ++i)
        std::copy_n(A.row(i) + i, n - i, result.R.row(i) + i);
    info = LAPACKE_dorglq_work(LAPACK_COL_MAJOR, rows, columns, /*k*/ rows, A.data(), /*lda*/ rows, tau.data(),
                               work.data(), lwork);
    requireSuccess(info, "dorglq", n);
    result.Q = std::move(A);
    return result;
}

std::vector<std::size_t> CpuDevice::pivotedColumns(Matrix<double> A) const
{
    const std::size_t r = A.rows();
    const std::size_t n = A.columns();
    require(r <= n, "pivotedColumns", fmt::format("A {}x{} has more rows than columns", r, n));
    std::vector<int> pivots(n, 0);
    if (r == 0 || n == 0) {
        std::vector<std::size_t> order(n);
        for (std::size_t j = 0; j < n; ++j)
            order[j] = j;
        return order;
    }
    requireFinite(A.view(), 0, "pivotedColumns");
    AlignedVector<double> columns(r * n);
    for (std::size_t i = 0; i < r; ++i)
        for (std::size_t j = 0; j < n; ++j)
            columns[j * r + i] = A(i, j);
    constexpr std::size_t blockSize = 64;
    const int lwork = blasSize(2 * n + (n + 1) * blockSize);
    AlignedVector<double> work(static_cast<std::size_t>(lwork));
    AlignedVector<double> tau(r);
    const int info = LAPACKE_dgeqp3_work(LAPACK_COL_MAJOR, /*m*/ blasSize(r), /*n*/ blasSize(n), columns.data(),
                                         /*lda*/ blasSize(r), pivots.data(), tau.data(), work.data(), lwork);
    requireSuccess(info, "dgeqp3", n);
    std::vector<std::size_t> order(n);
    for (std::size_t j = 0; j < n; ++j)
        order[j] = static_cast<std::size_t>(pivots[j] - 1);
    return order;
}

} // namespace

void mirrorUpperToLower(MatrixView<double> C)
{
    require(C.rows == C.columns, "mirrorUpperToLower", shapeOf(C));
    constexpr std::size_t tile = 32;
    for (std::size_t i = 0; i < C.rows; i += tile)
        for (std::size_t j = 0; j <= i; j += tile)
            for (std::size_t a = i; a < std::min(i + tile, C.rows); ++a)
                for (std::size_t b = j; b < std::min({j + tile, a, C.columns}); ++b)
                    C(a, b) = C(b, a);
}

std::shared_ptr<const Device> makeCpuDevice(std::size_t threads)
{
    return std::make_shared<CpuDevice>(threads);
}

namespace {

/// Numbers asked for by the BlasThreads that live, and what OpenBLAS had before the first of them.
struct BlasRequests
{
    std::mutex mutex;
    std::multiset<int> wanted;
    int before = 0;
};

BlasRequests& blasRequests()
{
    static BlasRequests requests;
    return requests;
}

} // namespace

BlasThreads::BlasThreads(std::size_t threads)
    : m_wanted(std::max(1, blasSize(threads)))
{
    BlasRequests& requests = blasRequests();
    const std::lock_guard lock(requests.mutex);
    if (requests.wanted.empty())
        requests.before = openblas_get_num_threads();
    requests.wanted.insert(m_wanted);
    openblas_set_num_threads(*requests.wanted.begin());
}

BlasThreads::~BlasThreads()
{
    BlasRequests& requests = blasRequests();
    const std::lock_guard lock(requests.mutex);
    requests.wanted.erase(requests.wanted.find(m_wanted));
    openblas_set_num_threads(requests.wanted.empty() ? requests.before : *requests.wanted.begin());
}

} // namespace rankwright
