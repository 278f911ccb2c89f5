#pragma once

#include "core/tensor/matrix.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace rankwright {

enum class Transpose { No, Yes };

/// What a device is and offers; shown by `devices`, kept with every run.
struct DeviceInfo
{
    std::string id;          ///< "cpu", "cuda:0"
    std::string name;        ///< processor or board
    std::string library;     ///< e.g. "OpenBLAS 0.3.21 Zen"
    std::size_t threads = 1; ///< BLAS threads a call may use
    std::size_t memoryTotal = 0;
    std::size_t memoryFree = 0;
};

/// Eigenvalues and eigenvectors of a symmetric matrix, largest first.
struct SymmetricEigen
{
    std::vector<double> values;
    /// Row i is the unit eigenvector of values[i]; rows x columns = wanted x n.
    Matrix<double> vectors;
};

/// A = Q R with Q of m x n, orthonormal columns, and R upper triangular, n x n.
struct QrFactors
{
    Matrix<double> Q;
    Matrix<double> R;
};

/// The dense operations the engine needs. All matrices are row-major and in host memory; calls are synchronous and may
/// be made from several threads. Failures throw Error(Numeric).
class Device
{
public:
    virtual ~Device() = default;
    virtual DeviceInfo info() const = 0;

    /// C = alpha op(A) op(B) + beta C.
    virtual void gemm(Transpose transposeA, Transpose transposeB, float alpha, ConstMatrixView<float> A,
                      ConstMatrixView<float> B, float beta, MatrixView<float> C) const = 0;
    virtual void gemm(Transpose transposeA, Transpose transposeB, double alpha, ConstMatrixView<double> A,
                      ConstMatrixView<double> B, double beta, MatrixView<double> C) const = 0;

    /// Upper triangle of C += X^T X for X of shape T x n and C of shape n x n: products in float32 over blocks of at
    /// most 2048 rows, sums in float64. The lower triangle is left alone.
    virtual void addSecondMoment(ConstMatrixView<float> X, MatrixView<double> C) const = 0;

    /// Upper triangle of C = A A^T (No) or A^T A (Yes), float64, then mirrored to the lower one.
    virtual void gram(Transpose transposeA, ConstMatrixView<double> A, MatrixView<double> C) const = 0;

    /// The `wanted` largest eigenvalues (all where wanted is 0) of the symmetric n x n matrix A, read from its upper
    /// triangle, with their eigenvectors: LAPACK dsytrd + dstedc and the back-transformation of the wanted vectors
    /// only. Throws Error(NonFinite) where a value is not finite.
    virtual SymmetricEigen symmetricEigen(Matrix<double> A, std::size_t wanted = 0) const = 0;

    /// Solves the symmetric positive definite system S X = R in place of R (n x k). Throws Error(Numeric) if S is not
    /// positive definite to working precision.
    virtual void solvePositiveDefinite(Matrix<double> S, MatrixView<double> R) const = 0;

    /// L, lower triangular, with S = L L^T for a symmetric S, read from its lower triangle. Throws Error(Numeric) if S
    /// is not positive definite, Error(NonFinite) where a value is not finite.
    virtual Matrix<double> cholesky(Matrix<double> S) const = 0;

    /// Solves L X = R (No) or L^T X = R (Yes) for a lower triangular L in place of R (n x k).
    virtual void solveLower(Transpose transposeL, const Matrix<double>& L, MatrixView<double> R) const = 0;

    /// Solves the general system J X = R in place of R (n x k) by pivoted LU.
    virtual void solve(Matrix<double> J, MatrixView<double> R) const = 0;

    /// Thin QR of A (m x n, m >= n): the columns of Q are orthonormal to working precision
    /// also where A is singular or badly scaled; such matrices, and those with m < 2 n, go through Householder
    /// reflections, others through Cholesky QR done twice.
    virtual QrFactors qr(Matrix<double> A) const = 0;

    /// Column-pivoted QR of A (r x n, r <= n): the order in which columns are chosen, best conditioned first (n
    /// indices, all different).
    virtual std::vector<std::size_t> pivotedColumns(Matrix<double> A) const = 0;
};

/// C's lower triangle from its upper one.
void mirrorUpperToLower(MatrixView<double> C);

/// The CPU through OpenBLAS, with `threads` BLAS threads per call (0: all processors). BLAS thread counts are global in
/// OpenBLAS: the device states them, whoever starts work sets them with BlasThreads.
std::shared_ptr<const Device> makeCpuDevice(std::size_t threads = 0);

/// Sets the number of OpenBLAS threads for all callers while it lives and restores it after; of several that live at
/// once, in one thread or in many, the least counts. Only the thread that starts parallel work makes one; devices never
/// change the count on their own.
class BlasThreads
{
public:
    explicit BlasThreads(std::size_t threads);
    ~BlasThreads();
    BlasThreads(const BlasThreads&) = delete;
    BlasThreads& operator=(const BlasThreads&) = delete;

private:
    int m_wanted;
};

/// Devices of this machine: the CPU, then those of the modules found at run time (gpu/, see device_module.h). A module
/// that cannot be used is left out with a warning.
std::vector<DeviceInfo> listDevices();

/// The device with an id of listDevices(); `threads` as in makeCpuDevice. Throws Error(NotFound) naming the known ids,
/// Error(Unsupported) if a module cannot open its device.
std::shared_ptr<const Device> openDevice(const std::string& id, std::size_t threads = 0);

} // namespace rankwright
