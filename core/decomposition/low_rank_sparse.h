#pragma once

#include "core/compute/device.h"
#include "core/decomposition/projection_kernel.h"
#include "core/tensor/sparse_matrix.h"

#include <cstddef>
#include <vector>

namespace rankwright {

/// W ~ B A + S.
struct LowRankSparseParts
{
    Matrix<double> B; ///< m x r, orthonormal columns
    Matrix<double> A; ///< r x n, B^T (W - S)
    SparseMatrix<double> S;
    /// ||(W - B A - S) C^{1/2}||_F^2 at the start (S = 0) and after every step, an S and a B A in turn; never rising
    /// but for rounding. The last is that of B, A and S.
    std::vector<double> objective;
};

/// min ||(W - B A - S) C^{1/2}||_F^2 over B A of a rank and S of a number of entries (LatentLLM, appendix;
/// methods 1.7), from the best B A without S on, in turn:
///   S: a gradient step G = (W - B A - S) C in the metric D, Y = S + G D^{-1}, of which the entries largest in
///      |Y_ij| D_jj^{1/2} are kept; on these places then the least squares. D = lambda diag(C) + rho with lambda the
///      largest eigenvalue of diag(C)^{-1/2} C diag(C)^{-1/2}, so that D - C is positive semidefinite and no step
///      raises the objective (a majorisation). A massive channel does not shorten the steps of the others, as 1 /
///      lambda_max(C) would. rho = proximalShare of the median of diag(C), also of a proximal term of the least
///      squares, bounds what one step changes: a channel that hardly any token uses could else take values of any size
///      to repair these tokens. It moves no fixed point.
///   B: least squares for A, an orthonormal basis of (W - S) C A^T; A: least squares for B, B^T (W - S).
/// Last, B A is the whitened SVD of W - S.
class LowRankSparse
{
public:
    /// See rho.
    static constexpr double proximalShare = 1e-4;

    /// W and C are kept by reference; `rankBound` as in InputMetric.
    LowRankSparse(const Device& device, const Matrix<double>& W, const Matrix<double>& C, std::size_t rankBound);

    const Device& device() const { return m_device; }
    /// projectionBasis() of W in the metric C.
    const ProjectionBasis& start() const { return m_start; }
    /// S has exactly `entries` (at most m n) entries, of which some may be zero. `rank` is in 1 .. min(m, n).
    LowRankSparseParts solve(std::size_t rank, std::size_t entries, std::size_t iterations) const;

private:
    struct State;

    /// W - S - B A and its product with C; adds the objective.
    void measure(State& state) const;
    void improveSparse(State& state, std::size_t entries) const;
    void improveFactors(State& state) const;
    void finish(State& state, std::size_t rank) const;
    /// W - S.
    Matrix<double> remainder(const SparseMatrix<double>& S) const;
    /// The least squares on the places of row `row` of `next`, whose values are those of the gradient step.
    void fitRow(const State& state, std::size_t row, SparseMatrix<double>& next) const;

    const Device& m_device;
    const Matrix<double>& m_W;
    const Matrix<double>& m_C;
    std::size_t m_rankBound;
    double m_proximal = 0.0;      ///< rho
    std::vector<double> m_metric; ///< diagonal of D
    ProjectionBasis m_start;
};

} // namespace rankwright
