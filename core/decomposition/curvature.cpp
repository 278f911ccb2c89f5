#include "core/decomposition/curvature.h"

#include "core/base/error.h"
#include "core/decomposition/projection_kernel.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>

namespace rankwright {

namespace {

Matrix<double> product(const Device& device, const Matrix<double>& A, const Matrix<double>& B)
{
    Matrix<double> C(A.rows(), B.columns());
    device.gemm(Transpose::No, Transpose::No, 1.0, A.view(), B.view(), 0.0, C.view());
    return C;
}

/// A S A^T.
Matrix<double> congruence(const Device& device, const Matrix<double>& A, const Matrix<double>& S)
{
    Matrix<double> result(A.rows(), A.rows());
    device.gemm(Transpose::No, Transpose::Yes, 1.0, product(device, A, S).view(), A.view(), 0.0, result.view());
    return result;
}

double elementSum(const Matrix<double>& A, const Matrix<double>& B)
{
    return std::inner_product(A.data(), A.data() + A.size(), B.data(), 0.0);
}

/// 1/2 per token of inputs and gradients.
double scaleOf(const LinearProblem& problem)
{
    return 0.5 / static_cast<double>(problem.statistics->tokens) / static_cast<double>(problem.gradients->tokens);
}

} // namespace

Matrix<double> withDamping(const Matrix<double>& moment, double damping)
{
    Matrix<double> result = moment;
    double trace = 0.0;
    for (std::size_t i = 0; i < moment.rows(); ++i)
        trace += moment(i, i);
    for (std::size_t i = 0; i < moment.rows(); ++i)
        result(i, i) += damping * trace / static_cast<double>(moment.rows());
    return result;
}

double AnalysisInNats::loss(std::size_t rank) const
{
    requireRank(m_shape, rank, true);
    return m_losses[rank];
}

void requireCurvature(const LinearProblem& problem)
{
    if (problem.statistics == nullptr || problem.gradients == nullptr)
        throw Error(ErrorKind::InvalidArgument,
                    "losses in nats need statistics of inputs and of gradients: calibrate with curvature",
                    {.tensor = problem.name});
    const std::size_t m = problem.W.rows();
    const std::size_t n = problem.W.columns();
    const Matrix<double>& C = problem.statistics->secondMoment;
    const Matrix<double>& G = problem.gradients->secondMoment;
    if (C.rows() != n || C.columns() != n || G.rows() != m || G.columns() != m)
        throw Error(
            ErrorKind::Mismatch,
            fmt::format("statistics of {} inputs and {} gradients for a linear of {}x{}", C.rows(), G.rows(), m, n),
            {.tensor = problem.name});
}

double natsOfEnergy(const LinearProblem& problem)
{
    requireCurvature(problem);
    const Matrix<double>& G = problem.gradients->secondMoment;
    for (std::size_t i = 0; i < G.rows(); ++i)
        if (G(i, i) > 0.0)
            return 0.5 / static_cast<double>(problem.statistics->tokens);
    return 0.0;
}

ParameterInfo dampingInfo()
{
    return {"damping", "Added to the gradients' second moment, as a share of its mean diagonal", 0.01, 1e-8, 1e3,
            false};
}

Matrix<double> dampedCurvature(const Device& device, const LinearProblem& problem, double damping,
                               std::vector<NumericEvent>& events)
{
    requireCurvature(problem);
    return dampedFactor(device, problem, problem.gradients->secondMoment, problem.gradients->tokens, damping, events);
}

Matrix<double> dampedFactor(const Device& device, const LinearProblem& problem, const Matrix<double>& moment,
                            std::size_t tokens, double damping, std::vector<NumericEvent>& events)
{
    Matrix<double> G = withDamping(moment, damping);
    for (double& value : G.span())
        value /= static_cast<double>(tokens);
    double mean = 0.0;
    for (std::size_t i = 0; i < G.rows(); ++i)
        mean += G(i, i) / static_cast<double>(G.rows());
    mean /= 1.0 + damping;
    double added = damping * mean;
    if (!(mean > 0.0)) {
        // Where no gradient ever arrives, any metric is as good: then errors of all outputs count alike.
        added = 1.0;
        for (std::size_t i = 0; i < G.rows(); ++i)
            G(i, i) = added;
    }
    events.push_back({"damped", problem.name,
                      fmt::format("the second moment of gradients was damped by {:.3g}, {:.3g} of its mean diagonal",
                                  added, mean > 0.0 ? added / mean : 0.0),
                      added});
    try {
        return device.cholesky(std::move(G));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::Numeric)
            throw;
        throw Error(ErrorKind::Numeric,
                    fmt::format("the second moment of gradients is singular in float64 with a damping of {:.3g} of its "
                                "mean diagonal: take a larger damping",
                                damping),
                    {.tensor = problem.name});
    }
}

double curvatureLoss(const Device& device, const LinearProblem& problem, const Matrix<double>& approximation,
                     double damping, std::span<const double> biasChange)
{
    requireCurvature(problem);
    if (!biasChange.empty() && biasChange.size() != problem.W.rows())
        throw Error(ErrorKind::Mismatch,
                    fmt::format("a bias change of {} values for {} outputs", biasChange.size(), problem.W.rows()),
                    {.tensor = problem.name});
    const TapStatistics& inputs = *problem.statistics;
    Matrix<double> D = problem.W;
    for (std::size_t i = 0; i < D.size(); ++i)
        D.data()[i] -= approximation.data()[i];
    const Matrix<double> G = withDamping(problem.gradients->secondMoment, damping);
    const Matrix<double> left = product(device, G, D);
    double sum = elementSum(left, product(device, D, inputs.secondMoment));
    if (!inputs.crossMoment.empty()) {
        // e = W (x - x_hat) + D x_hat, as in measureLoss().
        const InputShift shift = inputShift(inputs);
        sum += 2.0 * elementSum(left, product(device, problem.W, shift.cross)) +
               elementSum(product(device, G, problem.W), product(device, problem.W, shift.spread));
    }
    if (!biasChange.empty()) {
        // E loses f d^T + d f^T and gains T d d^T, f the sum of e without a changed bias, d the change.
        const std::vector<double> missed = outputErrorSum(problem.W, approximation, inputs);
        const auto tokens = static_cast<double>(inputs.tokens);
        for (std::size_t i = 0; i < G.rows(); ++i) {
            const double gained = std::inner_product(biasChange.begin(), biasChange.end(), G.row(i), 0.0);
            const double crossed = std::inner_product(missed.begin(), missed.end(), G.row(i), 0.0);
            sum += biasChange[i] * (tokens * gained - 2.0 * crossed);
        }
    }
    return std::max(sum, 0.0) * scaleOf(problem);
}

std::vector<double> projectionCurvature(const Device& device, const LinearProblem& problem,
                                        const Matrix<double>& vectors, const Matrix<double>& coordinates)
{
    requireCurvature(problem);
    // D_r = sum over i >= r of v_i c_i^T, so tr(G D_r C D_r^T) is the sum of H_ij K_ij over i, j >= r.
    const Matrix<double> H = congruence(device, vectors, problem.gradients->secondMoment);
    const Matrix<double> K = congruence(device, coordinates, problem.statistics->secondMoment);
    const std::size_t count = vectors.rows();
    std::vector<double> losses(count + 1, 0.0);
    for (std::size_t i = count; i-- > 0;) {
        double row = 0.0;
        for (std::size_t j = i + 1; j < count; ++j)
            row += H(i, j) * K(i, j);
        losses[i] = losses[i + 1] + H(i, i) * K(i, i) + 2.0 * row;
    }
    const double scale = scaleOf(problem);
    for (double& loss : losses)
        loss = std::max(loss, 0.0) * scale;
    return losses;
}

std::vector<double> sampledCurvature(const Device& device, const LinearProblem& problem, const Analysis& analysis)
{
    constexpr std::size_t points = 14;
    const std::size_t full = analysis.shape().fullRank();
    std::vector<double> losses(full + 1);
    const auto measured = [&](std::size_t rank) {
        const Factorisation factors = analysis.factorize(rank);
        const std::vector<float> bias(factors.bias.begin(), factors.bias.end());
        return curvatureLoss(device, problem, factors.approximation(device), 0.0, biasChange(problem.bias, bias));
    };
    losses[0] = curvatureLoss(device, problem, Matrix<double>(problem.W.rows(), problem.W.columns()));
    std::vector<std::size_t> sampled;
    for (std::size_t rank = 1; rank <= std::min<std::size_t>(4, full); ++rank)
        sampled.push_back(rank);
    for (std::size_t i = 1; i <= points; ++i)
        sampled.push_back(std::max(sampled.back(), full * i / points));
    std::size_t last = 0;
    for (const std::size_t rank : sampled) {
        if (rank == last)
            continue;
        losses[rank] = std::min(measured(rank), losses[last]);
        // Above 0 also where no gradient arrives: 0 / 0 is no step.
        const double floor = std::max(1e-12 * losses[0], std::numeric_limits<double>::min());
        const double from = std::max(losses[last], floor);
        const double to = std::max(losses[rank], floor);
        for (std::size_t between = last + 1; between < rank; ++between) {
            const double way = static_cast<double>(between - last) / static_cast<double>(rank - last);
            losses[between] = std::min(from * std::pow(to / from, way), losses[between - 1]);
        }
        last = rank;
    }
    return losses;
}

} // namespace rankwright
