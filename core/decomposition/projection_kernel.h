#pragma once

#include "core/decomposition/objective.h"

#include <memory>
#include <vector>

namespace rankwright {

// The kernel of the family: a metric P P^T on the input side gives an orthonormal basis U of the outputs, the
// eigenvectors of W (P P^T) W^T; the approximation of rank r is U_r U_r^T W (methods 0.1: the output-PCA form of
// SVD_r(W P) P^-1, without an inverse or a factor of the metric). As U is orthonormal, its loss in the statistics C is
// the tail sum of u_i^T W C W^T u_i for every metric: plain SVD is P = I, ASVD a diagonal P, whitened SVD P P^T = C.

/// P P^T: `secondMoment` if given, else diag(scale)^2 if given, else I.
struct InputMetric
{
    const Matrix<double>* secondMoment = nullptr;
    std::vector<double> scale = {};
    std::size_t rankBound = 0; ///< at most this many directions are ordered by the metric
};

/// An orthonormal basis of the outputs, the most important direction first; N = min(m, n) of them, so that full rank
/// gives W again. Where the metric vanishes, directions are ordered by their plain energy.
struct ProjectionBasis
{
    Matrix<double> vectors;                       ///< N x m, row i is u_i^T
    Matrix<double> coordinates;                   ///< N x n, vectors W
    std::vector<double> metricEnergies;           ///< u_i^T W P P^T W^T u_i
    std::vector<double> singularValues;           ///< of W P: their roots, largest first
    std::size_t metricRank = 0;                   ///< directions the metric ordered
    const Matrix<double>* secondMoment = nullptr; ///< the metric's, null for others
    bool plain = false;                           ///< the metric is I
};

/// W of m x n. For m > n the problem is brought to n x n by W = Q R first. Directions 1e-5 and more below the largest
/// singular value are decomposed again among themselves (an eigenproblem of the squares would blur them), so that
/// massive channels leave the others accurate: singular values to about eps / 1e-5 = 2e-11 of the largest.
ProjectionBasis projectionBasis(const Device& device, const Matrix<double>& W, const InputMetric& metric);

/// B = U_r, A = U_r^T W: the first `rank` rows of `vectors` (N x m) as columns, and of `coordinates` (N x n).
Factorisation leadingFactors(const Matrix<double>& vectors, const Matrix<double>& coordinates, std::size_t rank);

/// Analysis of W_hat = U_r U_r^T target.
class ProjectionAnalysis final : public Analysis
{
public:
    ProjectionAnalysis(const Device& device, Objective objective, ProjectionBasis basis);
    double loss(std::size_t rank) const override;
    std::vector<double> lossAtEveryRank() const override { return m_losses; }
    std::vector<double> curvatureCurve(const Device& device, const LinearProblem& problem) const override;
    Factorisation factorize(std::size_t rank) const override;

private:
    Matrix<double> m_vectors;
    Matrix<double> m_coordinates;
    std::vector<double> m_losses;
    BiasUpdate m_bias;
};

/// What each direction takes off the loss when it is kept: u_i^T (target C target^T + 2 residual target^T) u_i.
std::vector<double> directionEnergies(const Device& device, const Objective& objective, const ProjectionBasis& basis);

/// Loss at rank 0 .. N when directions are kept in order; summed from the last, float64, never below 0.
std::vector<double> tailSums(const std::vector<double>& energies, double constant);

/// Throws Error(InvalidArgument) unless 1 <= rank <= min(m, n) (0 too if `zeroAllowed`).
void requireRank(LinearShape shape, std::size_t rank, bool zeroAllowed);

} // namespace rankwright
