#include "core/decomposition/projection_kernel.h"

#include "core/base/error.h"
#include "core/decomposition/curvature.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace rankwright {

namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
/// Eigenvalues below this share of the largest have vectors that rounding mixes with each other.
constexpr double kBlurred = 1e-10;
/// Eigenvalues above this share of the largest are the energies of their vectors to about 1e-9; others are measured.
constexpr double kExact = 1e-6;

Matrix<double> product(const Device& device, ConstMatrixView<double> A, ConstMatrixView<double> B)
{
    Matrix<double> C(A.rows, B.columns);
    if (A.rows > 0)
        device.gemm(Transpose::No, Transpose::No, 1.0, A, B, 0.0, C.view());
    return C;
}

/// M P P^T M^T.
Matrix<double> gramInMetric(const Device& device, const Matrix<double>& M, const InputMetric& metric)
{
    Matrix<double> G(M.rows(), M.rows());
    if (metric.secondMoment != nullptr) {
        const Matrix<double> weighted = upperProduct(device, M, *metric.secondMoment);
        device.gemm(Transpose::No, Transpose::Yes, 1.0, weighted.view(), M.view(), 0.0, G.view());
        for (std::size_t i = 0; i < G.rows(); ++i) {
            for (std::size_t j = 0; j < i; ++j)
                G(i, j) = G(j, i) = G(i, j) + G(j, i);
            G(i, i) *= 2.0;
        }
        return G;
    }
    if (metric.scale.empty()) {
        device.gram(Transpose::No, M.view(), G.view());
        return G;
    }
    Matrix<double> scaled = M;
    for (std::size_t i = 0; i < M.rows(); ++i)
        for (std::size_t j = 0; j < M.columns(); ++j)
            scaled(i, j) *= metric.scale[j];
    device.gram(Transpose::No, scaled.view(), G.view());
    return G;
}

/// Whether m_i C m_i^T is no more than what rounding leaves of it, for every row.
bool vanishes(const Matrix<double>& M, const Matrix<double>& G, const Matrix<double>& C)
{
    for (std::size_t i = 0; i < M.rows(); ++i) {
        double bound = 0.0;
        for (std::size_t j = 0; j < M.columns(); ++j)
            bound += std::abs(M(i, j)) * std::sqrt(std::max(C(j, j), 0.0));
        if (G(i, i) > 16.0 * kEpsilon * bound * bound)
            return false;
    }
    return true;
}

double squaredNorm(const Matrix<double>& M)
{
    return std::inner_product(M.span().begin(), M.span().end(), M.span().begin(), 0.0);
}

/// Orders the row space of R into an orthonormal frame (N x N), level by level.
class FrameBuilder
{
public:
    FrameBuilder(const Device& device, Matrix<double> R)
        : m_device(device)
        , m_negligible(std::pow(static_cast<double>(R.rows()) * kEpsilon, 2) * squaredNorm(R))
        , m_energies(R.rows(), std::numeric_limits<double>::quiet_NaN())
        , m_frame(R.rows(), R.rows())
        , m_coordinates(R.rows(), R.columns())
        , m_undecided(std::move(R))
    {
        m_remaining = Matrix<double>(m_frame.rows(), m_frame.rows());
        for (std::size_t i = 0; i < m_frame.rows(); ++i)
            m_remaining(i, i) = 1.0;
    }

    std::size_t decided() const { return m_decided; }
    /// Energies of the directions in the metric that ordered them; NaN where the eigenvalue is not accurate enough.
    const std::vector<double>& energies() const { return m_energies; }
    Matrix<double> takeFrame() { return std::move(m_frame); }
    Matrix<double> takeCoordinates() { return std::move(m_coordinates); }

    /// Takes directions in the order of the metric until `limit` are decided or the metric vanishes on the rest.
    void orderBy(const InputMetric& metric, std::size_t limit)
    {
        while (m_decided < std::min(limit, m_frame.rows()) && !m_undecided.empty()) {
            Matrix<double> G = gramInMetric(m_device, m_undecided, metric);
            if (metric.secondMoment != nullptr && vanishes(m_undecided, G, *metric.secondMoment))
                return;
            double trace = 0.0;
            for (std::size_t i = 0; i < G.rows(); ++i)
                trace += G(i, i);
            if (trace <= 0.0 || squaredNorm(m_undecided) <= m_negligible)
                return;
            SymmetricEigen eigen = m_device.symmetricEigen(std::move(G));
            if (eigen.values.front() <= 0.0)
                return;
            std::size_t clear = 1;
            while (clear < eigen.values.size() && eigen.values[clear] > kBlurred * eigen.values.front())
                ++clear;
            const std::size_t count = std::min(clear, limit - m_decided);
            for (std::size_t i = 0; i < count && eigen.values[i] > kExact * eigen.values.front(); ++i)
                m_energies[m_decided + i] = eigen.values[i];
            rotate(std::move(eigen.vectors));
            decide(count);
        }
    }

    /// Takes what is left as it is.
    void finish() { decide(m_undecided.rows()); }

private:
    void rotate(Matrix<double> vectors)
    {
        m_undecided = product(m_device, vectors.view(), m_undecided.view());
        m_remaining = m_decided == 0 ? std::move(vectors) : product(m_device, vectors.view(), m_remaining.view());
    }

    void decide(std::size_t count)
    {
        const auto move = [&](Matrix<double>& from, Matrix<double>& to) {
            const std::size_t width = from.columns();
            if (count == to.rows()) {
                to = std::exchange(from, Matrix<double>(0, width));
                return;
            }
            std::copy_n(from.data(), count * width, to.row(m_decided));
            Matrix<double> rest(from.rows() - count, width);
            std::copy_n(from.data() + count * width, rest.size(), rest.data());
            from = std::move(rest);
        };
        move(m_undecided, m_coordinates);
        move(m_remaining, m_frame);
        m_decided += count;
    }

    const Device& m_device;
    double m_negligible;
    std::size_t m_decided = 0;
    std::vector<double> m_energies;
    Matrix<double> m_frame;
    Matrix<double> m_coordinates;
    Matrix<double> m_undecided; ///< coordinates of the undecided directions
    Matrix<double> m_remaining; ///< the undecided directions
};

/// Fills in the energies that are NaN.
void measureEnergies(const Device& device, const Matrix<double>& coordinates, const InputMetric& metric,
                     std::vector<double>& energies)
{
    const std::size_t n = coordinates.columns();
    const auto unknown = static_cast<std::size_t>(
        std::count_if(energies.begin(), energies.end(), [](double energy) { return std::isnan(energy); }));
    Matrix<double> rows(unknown, n);
    for (std::size_t i = 0, k = 0; i < energies.size(); ++i) {
        if (std::isnan(energies[i]))
            std::copy_n(coordinates.row(i), n, rows.row(k++));
    }
    if (metric.secondMoment == nullptr && !metric.scale.empty()) {
        for (std::size_t i = 0; i < unknown; ++i)
            for (std::size_t j = 0; j < n; ++j)
                rows(i, j) *= metric.scale[j];
    }
    const std::vector<double> measured = weightedRowEnergies(device, rows, metric.secondMoment);
    for (std::size_t i = 0, k = 0; i < energies.size(); ++i) {
        if (std::isnan(energies[i]))
            energies[i] = measured[k++];
    }
}

} // namespace

ProjectionBasis projectionBasis(const Device& device, const Matrix<double>& W, const InputMetric& metric)
{
    const bool tall = W.rows() > W.columns();
    QrFactors reduced;
    if (tall)
        reduced = device.qr(W);
    FrameBuilder builder(device, tall ? std::move(reduced.R) : Matrix<double>(W));

    ProjectionBasis basis;
    basis.secondMoment = metric.secondMoment;
    basis.plain = metric.secondMoment == nullptr && metric.scale.empty();
    builder.orderBy(metric, metric.rankBound);
    basis.metricRank = builder.decided();
    basis.metricEnergies = builder.energies();
    builder.orderBy(InputMetric{}, std::min(W.rows(), W.columns()));
    builder.finish();

    basis.coordinates = builder.takeCoordinates();
    basis.vectors = builder.takeFrame();
    if (tall) {
        Matrix<double> vectors(basis.vectors.rows(), W.rows());
        device.gemm(Transpose::No, Transpose::Yes, 1.0, basis.vectors.view(), reduced.Q.view(), 0.0, vectors.view());
        basis.vectors = std::move(vectors);
    }
    measureEnergies(device, basis.coordinates, metric, basis.metricEnergies);
    for (const double energy : basis.metricEnergies)
        basis.singularValues.push_back(std::sqrt(std::max(energy, 0.0)));
    std::sort(basis.singularValues.begin(), basis.singularValues.end(), std::greater<>());
    return basis;
}

std::vector<double> directionEnergies(const Device& device, const Objective& objective, const ProjectionBasis& basis)
{
    const bool sameMetric =
        objective.secondMoment == basis.secondMoment && (basis.secondMoment != nullptr || basis.plain);
    std::vector<double> energies =
        sameMetric ? basis.metricEnergies : weightedRowEnergies(device, basis.coordinates, objective.secondMoment);
    if (objective.residual.empty())
        return energies;
    const Matrix<double> missed = product(device, basis.vectors.view(), objective.residual.view());
    for (std::size_t i = 0; i < energies.size(); ++i)
        energies[i] +=
            2.0 * std::inner_product(missed.row(i), missed.row(i) + missed.columns(), basis.coordinates.row(i), 0.0);
    return energies;
}

std::vector<double> tailSums(const std::vector<double>& energies, double constant)
{
    std::vector<double> losses(energies.size() + 1);
    double sum = 0.0;
    losses.back() = constant;
    for (std::size_t i = energies.size(); i-- > 0;) {
        sum += energies[i];
        losses[i] = std::max(sum + constant, 0.0);
    }
    return losses;
}

void requireRank(LinearShape shape, std::size_t rank, bool zeroAllowed)
{
    if (rank > shape.fullRank() || (rank == 0 && !zeroAllowed))
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("rank {} is outside [{}, {}] of a {}x{} linear", rank, zeroAllowed ? 0 : 1,
                                shape.fullRank(), shape.rows, shape.columns));
}

ProjectionAnalysis::ProjectionAnalysis(const Device& device, Objective objective, ProjectionBasis basis)
    : m_losses(tailSums(directionEnergies(device, objective, basis), objective.constant))
{
    m_shape = {objective.target.rows(), objective.target.columns()};
    m_totalEnergy = m_losses.front();
    m_singularValues = std::move(basis.singularValues);
    m_events = std::move(objective.events);
    m_bias = std::move(objective.bias);
    m_vectors = std::move(basis.vectors);
    m_coordinates = std::move(basis.coordinates);
}

double ProjectionAnalysis::loss(std::size_t rank) const
{
    requireRank(m_shape, rank, true);
    return m_losses[rank];
}

std::vector<double> ProjectionAnalysis::curvatureCurve(const Device& device, const LinearProblem& problem) const
{
    requireCurvature(problem);
    if (m_bias.inputMean.empty())
        return projectionCurvature(device, problem, m_vectors, m_coordinates);
    const TapStatistics centred = centredStatistics(*problem.statistics);
    LinearProblem other{.name = problem.name, .W = problem.W, .statistics = &centred, .gradients = problem.gradients};
    return projectionCurvature(device, other, m_vectors, m_coordinates);
}

Factorisation leadingFactors(const Matrix<double>& vectors, const Matrix<double>& coordinates, std::size_t rank)
{
    Factorisation result{Matrix<double>(vectors.columns(), rank), Matrix<double>(rank, coordinates.columns())};
    for (std::size_t i = 0; i < result.B.rows(); ++i)
        for (std::size_t k = 0; k < rank; ++k)
            result.B(i, k) = vectors(k, i);
    std::copy_n(coordinates.data(), result.A.size(), result.A.data());
    return result;
}

Factorisation ProjectionAnalysis::factorize(std::size_t rank) const
{
    requireRank(m_shape, rank, false);
    Factorisation result = leadingFactors(m_vectors, m_coordinates, rank);
    m_bias.apply(result);
    return result;
}

} // namespace rankwright
