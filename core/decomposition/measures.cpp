#include "core/base/error.h"
#include "core/decomposition/curvature.h"
#include "core/decomposition/method.h"
#include "core/decomposition/objective.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rankwright {

namespace {

/// T c^T (c - 2 d), d = W mean(x) - W_hat mean(x_hat).
double biasLoss(const Matrix<double>& W, const Matrix<double>& approximation, const TapStatistics* statistics,
                std::span<const double> change)
{
    if (statistics == nullptr || statistics->tokens == 0 || change.size() != W.rows())
        throw Error(ErrorKind::Internal,
                    fmt::format("{} changed biases of {} outputs need input statistics", change.size(), W.rows()));
    const std::vector<double> missed = outputErrorSum(W, approximation, *statistics);
    const auto tokens = static_cast<double>(statistics->tokens);
    double loss = 0.0;
    for (std::size_t i = 0; i < W.rows(); ++i)
        loss += change[i] * (tokens * change[i] - 2.0 * missed[i]);
    return loss;
}

} // namespace

InputShift inputShift(const TapStatistics& anchored)
{
    InputShift shift{.cross = anchored.crossMoment, .spread = anchored.denseSecondMoment};
    const Matrix<double>& C = anchored.secondMoment;
    for (std::size_t i = 0; i < C.rows(); ++i)
        for (std::size_t j = 0; j < C.columns(); ++j) {
            shift.spread(i, j) += C(i, j) - anchored.crossMoment(i, j) - anchored.crossMoment(j, i);
            shift.cross(i, j) -= C(i, j);
        }
    return shift;
}

std::vector<double> outputErrorSum(const Matrix<double>& W, const Matrix<double>& approximation,
                                   const TapStatistics& statistics)
{
    const std::vector<double>& sum = statistics.sum;
    const std::vector<double>& denseSum = statistics.denseSum.empty() ? sum : statistics.denseSum;
    std::vector<double> missed(W.rows());
    for (std::size_t i = 0; i < W.rows(); ++i)
        for (std::size_t j = 0; j < W.columns(); ++j)
            missed[i] += W(i, j) * denseSum[j] - approximation(i, j) * sum[j];
    return missed;
}

double measureLoss(const Device& device, const Matrix<double>& W, const Matrix<double>& approximation,
                   const TapStatistics* statistics, std::span<const double> biasChange)
{
    if (approximation.rows() != W.rows() || approximation.columns() != W.columns())
        throw Error(ErrorKind::Internal, fmt::format("a {}x{} approximation of a {}x{} linear", approximation.rows(),
                                                     approximation.columns(), W.rows(), W.columns()));
    Matrix<double> D = W;
    for (std::size_t i = 0; i < D.size(); ++i)
        D.data()[i] -= approximation.data()[i];
    const Matrix<double>* C = statistics == nullptr ? nullptr : &statistics->secondMoment;
    const std::vector<double> energies = weightedRowEnergies(device, D, C);
    double loss = std::accumulate(energies.begin(), energies.end(), 0.0);
    if (statistics != nullptr && !statistics->crossMoment.empty()) {
        // W X - W_hat X_hat = W (X - X_hat) + D X_hat: small where the inputs agree, unlike the terms of the trace.
        const InputShift shift = inputShift(*statistics);
        loss += weightedProduct(device, W, &shift.spread, W) + 2.0 * weightedProduct(device, W, &shift.cross, D);
    }
    if (!biasChange.empty())
        loss += biasLoss(W, approximation, statistics, biasChange);
    return std::max(loss, 0.0);
}

std::vector<double> biasChange(const std::vector<float>& original, const std::vector<float>& stored)
{
    if (stored.empty() || stored == original)
        return {};
    std::vector<double> change(stored.begin(), stored.end());
    for (std::size_t i = 0; i < original.size(); ++i)
        change[i] -= static_cast<double>(original[i]);
    return change;
}

double Method::measure(const Device& device, const LinearProblem& problem, const MethodParameters&,
                       const Matrix<double>& approximation, std::span<const double> biasChange) const
{
    return measureLoss(device, problem.W, approximation, problem.statistics, biasChange);
}

std::vector<double> Analysis::curvatureCurve(const Device& device, const LinearProblem& problem) const
{
    return sampledCurvature(device, problem, *this);
}

double effectiveRank(std::span<const double> singularValues)
{
    const double sum = std::accumulate(singularValues.begin(), singularValues.end(), 0.0);
    if (sum <= 0.0)
        return 0.0;
    double entropy = 0.0;
    for (const double value : singularValues) {
        const double share = value / sum;
        if (share > 0.0)
            entropy -= share * std::log(share);
    }
    return std::exp(entropy);
}

double stableRank(std::span<const double> singularValues)
{
    if (singularValues.empty() || singularValues.front() <= 0.0)
        return 0.0;
    double sum = 0.0;
    for (const double value : singularValues) {
        const double share = value / singularValues.front();
        sum += share * share;
    }
    return sum;
}

} // namespace rankwright
