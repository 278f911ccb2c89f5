#include "core/decomposition/head_pairs.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

using Moments = std::vector<Matrix<double>>; ///< headWidth x headWidth, by head

/// Directions below this share of the first one's energy are rounding: the objective does not see them.
constexpr double kSeen = 1e-20;

Matrix<double> timesMetric(const Device& device, const Matrix<double>& A, const HeadSide& side)
{
    if (!side.metric)
        return A;
    Matrix<double> result(A.rows(), A.columns());
    device.gemm(Transpose::No, Transpose::No, 1.0, A.view(), side.metric->view(), 0.0, result.view());
    return result;
}

Matrix<double> timesTransposed(const Device& device, ConstMatrixView<double> A, ConstMatrixView<double> B)
{
    Matrix<double> result(A.rows, B.rows);
    device.gemm(Transpose::No, Transpose::Yes, 1.0, A, B, 0.0, result.view());
    return result;
}

/// X_j Y_j^T by head.
Moments headProducts(const Device& device, const Matrix<double>& X, const Matrix<double>& Y, std::size_t headWidth)
{
    Moments result;
    for (std::size_t first = 0; first < X.rows(); first += headWidth)
        result.push_back(
            timesTransposed(device, X.view().rowRange(first, headWidth), Y.view().rowRange(first, headWidth)));
    return result;
}

/// Theta N Theta^T, or Theta^T N Theta; Theta = R^T turns (a, b) into (a cos + b sin, b cos - a sin).
Matrix<double> turned(const Matrix<double>& N, const HeadRotation& rotation, bool backwards)
{
    const std::size_t half = rotation.cosines.size();
    Matrix<double> result = N;
    for (std::size_t j = 0; j < half; ++j) {
        const double cosine = rotation.cosines[j];
        const double sine = backwards ? -rotation.sines[j] : rotation.sines[j];
        for (std::size_t k = 0; k < N.columns(); ++k) {
            const double a = result(j, k);
            const double b = result(j + half, k);
            result(j, k) = a * cosine + b * sine;
            result(j + half, k) = b * cosine - a * sine;
        }
    }
    for (std::size_t j = 0; j < half; ++j) {
        const double cosine = rotation.cosines[j];
        const double sine = backwards ? -rotation.sines[j] : rotation.sines[j];
        for (std::size_t k = 0; k < N.rows(); ++k) {
            const double a = result(k, j);
            const double b = result(k, j + half);
            result(k, j) = a * cosine + b * sine;
            result(k, j + half) = b * cosine - a * sine;
        }
    }
    return result;
}

void add(double factor, const Matrix<double>& N, Matrix<double>& sum)
{
    for (std::size_t i = 0; i < sum.size(); ++i)
        sum.data()[i] += factor * N.data()[i];
}

/// sum_delta p_delta Theta N Theta^T, or with Theta^T and Theta.
Matrix<double> averaged(const Matrix<double>& N, const std::vector<HeadRotation>& rotations, bool backwards)
{
    if (rotations.empty())
        return N;
    Matrix<double> sum(N.rows(), N.columns());
    for (const HeadRotation& rotation : rotations)
        add(rotation.weight, turned(N, rotation, backwards), sum);
    return sum;
}

/// tr(X Y^T).
double inner(const Matrix<double>& X, const Matrix<double>& Y)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < X.size(); ++i)
        sum += X.data()[i] * Y.data()[i];
    return sum;
}

Matrix<double> difference(const Matrix<double>& X, const Matrix<double>& Y)
{
    if (X.rows() != Y.rows() || X.columns() != Y.columns())
        throw Error(ErrorKind::Internal, fmt::format("a {}x{} approximation of a {}x{} linear", Y.rows(), Y.columns(),
                                                     X.rows(), X.columns()));
    Matrix<double> result = X;
    add(-1.0, Y, result);
    return result;
}

Matrix<double> firstRows(const Matrix<double>& A, std::size_t rows)
{
    Matrix<double> result(rows, A.columns());
    std::copy_n(A.data(), result.size(), result.data());
    return result;
}

} // namespace

std::vector<HeadRotation> headRotations(std::span<const double> frequencies, std::span<const std::size_t> distances)
{
    std::vector<HeadRotation> result;
    for (const std::size_t distance : distances) {
        HeadRotation rotation{.weight = 1.0 / static_cast<double>(distances.size()), .cosines = {}, .sines = {}};
        for (const double frequency : frequencies) {
            rotation.cosines.push_back(std::cos(frequency * static_cast<double>(distance)));
            rotation.sines.push_back(std::sin(frequency * static_cast<double>(distance)));
        }
        result.push_back(std::move(rotation));
    }
    return result;
}

std::vector<std::size_t> logSpacedDistances(std::size_t count, std::size_t largest)
{
    std::vector<std::size_t> result{0};
    for (std::size_t i = 1; i < count; ++i) {
        const double exponent = static_cast<double>(i) / static_cast<double>(count - 1);
        const double wanted = std::pow(static_cast<double>(largest) + 1.0, exponent) - 1.0;
        const auto distance = static_cast<std::size_t>(std::lround(wanted));
        // Where they would fall together the next free distance is taken, so that short ones are all there.
        result.push_back(std::max(distance, result.back() + 1));
    }
    while (result.size() > 1 && result.back() > largest)
        result.pop_back();
    return result;
}

HeadPairSolver::HeadPairSolver(const Device& device, HeadPairs pairs)
    : m_device(device)
    , m_pairs(std::move(pairs))
{
    const auto whole = [&](const HeadSide& side) {
        return headProducts(device, timesMetric(device, side.W, side), side.W, m_pairs.headWidth);
    };
    m_left = modes(m_pairs.left, forLeft(whole(m_pairs.right)));
    m_right = modes(m_pairs.right, forRight(whole(m_pairs.left)));
}

Moments HeadPairSolver::forLeft(const Moments& right) const
{
    Moments result;
    const std::size_t heads = m_pairs.left.W.rows() / m_pairs.headWidth;
    const std::size_t sharing = heads / right.size();
    for (const Matrix<double>& moment : right)
        result.insert(result.end(), sharing, averaged(moment, m_pairs.rotations, false));
    return result;
}

Moments HeadPairSolver::forRight(const Moments& left) const
{
    const std::size_t heads = m_pairs.right.W.rows() / m_pairs.headWidth;
    const std::size_t sharing = left.size() / heads;
    Moments result;
    for (std::size_t j = 0; j < heads; ++j) {
        Matrix<double> sum(m_pairs.headWidth, m_pairs.headWidth);
        for (std::size_t i = 0; i < sharing; ++i)
            add(1.0, left[j * sharing + i], sum);
        result.push_back(averaged(sum, m_pairs.rotations, true));
    }
    return result;
}

SideModes HeadPairSolver::modes(const HeadSide& side, const Moments& rowMoments) const
{
    // With M_i = V Lambda V^T the rows Lambda^{1/2} V^T W_i have the Gram W_i^T M_i W_i.
    const std::size_t width = m_pairs.headWidth;
    Matrix<double> weighted(side.W.rows(), side.W.columns());
    for (std::size_t head = 0; head < rowMoments.size(); ++head) {
        SymmetricEigen eigen = m_device.symmetricEigen(rowMoments[head]);
        for (std::size_t i = 0; i < width; ++i) {
            const double scale = std::sqrt(std::max(eigen.values[i], 0.0));
            for (double& value : eigen.vectors.view().rowSpan(i))
                value *= scale;
        }
        m_device.gemm(Transpose::No, Transpose::No, 1.0, eigen.vectors.view(),
                      side.W.view().rowRange(head * width, width), 0.0, weighted.view().rowRange(head * width, width));
    }
    ProjectionBasis basis = projectionBasis(
        m_device, weighted, {.secondMoment = side.metric.get(), .scale = {}, .rankBound = side.rankBound});
    SideModes result{std::move(basis.coordinates), std::move(basis.metricEnergies), 0};
    while (result.ordered < std::min(basis.metricRank, result.energies.size()) &&
           result.energies[result.ordered] > kSeen * result.energies.front())
        ++result.ordered;
    return result;
}

SideFactors HeadPairSolver::factors(const HeadSide& side, const SideModes& modes, std::size_t rank) const
{
    const std::size_t rows = side.W.rows();
    const std::size_t n = side.W.columns();
    requireRank({rows, n}, rank, false);
    // z = A x with uncorrelated z, and B the regression of W x on z: B = W C A^T (A C A^T)^-1.
    const std::size_t seen = std::min(rank, modes.ordered);
    SideFactors result{Matrix<double>(rows, rank), Matrix<double>(rank, n)};
    Matrix<double> A = firstRows(modes.directions, seen);
    for (std::size_t i = 0; i < seen; ++i)
        for (double& value : A.view().rowSpan(i))
            value /= std::sqrt(modes.energies[i]);
    std::copy_n(A.data(), A.size(), result.A.data());
    if (seen > 0) {
        const Matrix<double> weighted = timesMetric(m_device, A, side);
        Matrix<double> coefficients = timesTransposed(m_device, weighted.view(), side.W.view());
        m_device.solvePositiveDefinite(timesTransposed(m_device, weighted.view(), A.view()), coefficients.view());
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t k = 0; k < seen; ++k)
                result.B(i, k) = coefficients(k, i);
    }
    if (seen == rank)
        return result;
    // What the objective does not see is kept by the size of the weights, so that full rank gives W again.
    Matrix<double> remainder = side.W;
    if (seen > 0)
        m_device.gemm(Transpose::No, Transpose::No, -1.0, result.B.view().columnRange(0, seen), A.view(), 1.0,
                      remainder.view());
    const ProjectionBasis basis =
        projectionBasis(m_device, remainder, {.secondMoment = nullptr, .scale = {}, .rankBound = n});
    std::copy_n(basis.coordinates.data(), (rank - seen) * n, result.A.row(seen));
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t k = seen; k < rank; ++k)
            result.B(i, k) = basis.vectors(k - seen, i);
    return result;
}

Moments HeadPairSolver::momentsOf(const HeadSide& side, const SideFactors& factors) const
{
    const Matrix<double> latent =
        timesTransposed(m_device, timesMetric(m_device, factors.A, side).view(), factors.A.view());
    Matrix<double> weighted(factors.B.rows(), factors.B.columns());
    m_device.gemm(Transpose::No, Transpose::No, 1.0, factors.B.view(), latent.view(), 0.0, weighted.view());
    return headProducts(m_device, weighted, factors.B, m_pairs.headWidth);
}

std::pair<SideFactors, SideFactors> HeadPairSolver::both(std::size_t leftRank, std::size_t rightRank,
                                                         std::size_t sweeps) const
{
    std::pair<SideFactors, SideFactors> result;
    auto& [left, right] = result;
    right = rightAlone(rightRank);
    for (std::size_t sweep = 0; sweep < sweeps; ++sweep) {
        if (sweep > 0)
            right = factors(m_pairs.right, modes(m_pairs.right, forRight(momentsOf(m_pairs.left, left))), rightRank);
        left = factors(m_pairs.left, modes(m_pairs.left, forLeft(momentsOf(m_pairs.right, right))), leftRank);
    }
    return result;
}

PairLoss HeadPairSolver::loss(const Matrix<double>* left, const Matrix<double>* right) const
{
    // With D = R - R_hat and E = L - L_hat: L^T Theta R - L_hat^T Theta R_hat = L^T Theta D + E^T Theta R_hat. The
    // squared norms of these and their product are traces of headWidth x headWidth moments.
    const std::size_t width = m_pairs.headWidth;
    const HeadSide& l = m_pairs.left;
    const HeadSide& r = m_pairs.right;
    const std::size_t groups = r.W.rows() / width;
    const std::size_t sharing = l.W.rows() / width / groups;
    const auto zero = [&](std::size_t heads) { return Moments(heads, Matrix<double>(width, width)); };

    Moments DD = zero(groups);
    Moments DR = zero(groups);
    const Matrix<double>& kept = right ? *right : r.W;
    if (right) {
        const Matrix<double> D = difference(r.W, *right);
        const Matrix<double> weighted = timesMetric(m_device, D, r);
        DD = headProducts(m_device, weighted, D, width);
        DR = headProducts(m_device, weighted, kept, width);
    }
    const Moments LL = right ? headProducts(m_device, timesMetric(m_device, l.W, l), l.W, width) : Moments();
    Moments EE;
    Moments EL;
    Moments RR;
    if (left) {
        const Matrix<double> E = difference(l.W, *left);
        const Matrix<double> weighted = timesMetric(m_device, E, l);
        EE = headProducts(m_device, weighted, E, width);
        EL = headProducts(m_device, weighted, l.W, width);
        RR = headProducts(m_device, timesMetric(m_device, kept, r), kept, width);
    }
    PairLoss loss;
    for (std::size_t j = 0; j < groups; ++j) {
        const Matrix<double> turnedDD = averaged(DD[j], m_pairs.rotations, false);
        const Matrix<double> turnedDR = averaged(DR[j], m_pairs.rotations, false);
        const Matrix<double> turnedRR = left ? averaged(RR[j], m_pairs.rotations, false) : Matrix<double>();
        for (std::size_t i = j * sharing; i < (j + 1) * sharing; ++i) {
            if (right)
                loss.right += inner(LL[i], turnedDD);
            if (left)
                loss.left += inner(EE[i], turnedRR);
            if (left && right) // tr(E C L^T Theta D C' R_hat^T Theta^T)
                for (std::size_t a = 0; a < width; ++a)
                    for (std::size_t b = 0; b < width; ++b)
                        loss.left += 2.0 * EL[i](a, b) * turnedDR(b, a);
        }
    }
    loss.right = std::max(loss.right, 0.0);
    loss.left = std::max(loss.left, -loss.right);
    return loss;
}

} // namespace rankwright
