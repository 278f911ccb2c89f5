#pragma once

#include "core/decomposition/projection_kernel.h"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace rankwright {

// Two linears that meet head by head: slices T_i = L_i^T Theta R_g(i), L_i and R_j of headWidth x n. Queries and keys
// make the logits x_s^T Wq_i^T Theta Wk_g x_t, values and outputs the paths Wo_i Wv_g x (L_i = Wo_i^T). Both are
// approximated by projections of the inputs of both linears, T_i -> P_l T_i P_r: a Tucker-2 decomposition (methods 1.2
// to 1.4), whose steps are whitened SVDs of L and R with the rows of every head weighed by what the other side passes
// on. No slice is ever formed.

/// Theta of one distance between query and key, and its share of the objective.
struct HeadRotation
{
    double weight = 1.0;
    std::vector<double> cosines; ///< of the coordinates (j, j + headWidth/2)
    std::vector<double> sines;
};

/// Theta_delta = R(delta)^T for distances delta >= 0 in tokens, equally weighed; R(s)^T ... R(t) of a rotary embedding
/// depends on delta = s - t only.
std::vector<HeadRotation> headRotations(std::span<const double> frequencies, std::span<const std::size_t> distances);

/// At most `count` distances from 0 to `largest`, about equally far apart in log(1 + distance).
std::vector<std::size_t> logSpacedDistances(std::size_t count, std::size_t largest);

/// One of the two linears.
struct HeadSide
{
    Matrix<double> W;                             ///< (heads headWidth) x n
    std::shared_ptr<const Matrix<double>> metric; ///< second moment of its input, n x n; null for I
    std::size_t rankBound = 0;                    ///< of the metric
};

struct HeadPairs
{
    HeadSide left;
    HeadSide right; ///< its heads divide those of the left
    std::size_t headWidth = 1;
    std::vector<HeadRotation> rotations; ///< empty for Theta = I
};

/// W_hat = B A of one side, A spanning the inputs that are kept.
struct SideFactors
{
    Matrix<double> B; ///< rows x r
    Matrix<double> A; ///< r x n
};

/// Which inputs of one side matter, most important first, given what the other side passes on.
struct SideModes
{
    Matrix<double> directions;    ///< N x n, N = min(rows, n)
    std::vector<double> energies; ///< what each takes off the loss
    std::size_t ordered = 0;      ///< directions that the objective orders; the others it does not see
};

/// sum over heads and rotations of the squared norm of the error of the slices, in the metrics of both sides, split:
/// what replacing the right side alone loses, and what replacing the left adds. Null: the side stays as it is.
struct PairLoss
{
    double right = 0.0;
    double left = 0.0;
};

/// The two sides of HeadPairs under alternating least squares.
class HeadPairSolver
{
public:
    /// Finds the modes of both sides where the other is whole. `device` must outlive the solver.
    HeadPairSolver(const Device& device, HeadPairs pairs);

    const HeadPairs& pairs() const { return m_pairs; }
    const SideModes& leftModes() const { return m_left; }
    const SideModes& rightModes() const { return m_right; }

    /// One side truncated, the other whole.
    SideFactors leftAlone(std::size_t rank) const { return factors(m_pairs.left, m_left, rank); }
    SideFactors rightAlone(std::size_t rank) const { return factors(m_pairs.right, m_right, rank); }
    /// Both sides: the right one first, then `sweeps` times the left for it, with the right again between.
    std::pair<SideFactors, SideFactors> both(std::size_t leftRank, std::size_t rightRank, std::size_t sweeps) const;

    PairLoss loss(const Matrix<double>* left, const Matrix<double>* right) const;

private:
    SideModes modes(const HeadSide& side, const std::vector<Matrix<double>>& rowMoments) const;
    SideFactors factors(const HeadSide& side, const SideModes& modes, std::size_t rank) const;
    std::vector<Matrix<double>> momentsOf(const HeadSide& side, const SideFactors& factors) const;
    std::vector<Matrix<double>> forLeft(const std::vector<Matrix<double>>& right) const;
    std::vector<Matrix<double>> forRight(const std::vector<Matrix<double>>& left) const;

    const Device& m_device;
    HeadPairs m_pairs;
    SideModes m_left;
    SideModes m_right;
};

} // namespace rankwright
