#include "core/base/error.h"
#include "core/decomposition/method.h"
#include "core/decomposition/objective.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rankwright {

double measureLoss(const Device& device, const Matrix<double>& W, const Matrix<double>& approximation,
                   const TapStatistics* statistics)
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
        Matrix<double> shift = statistics->crossMoment;
        Matrix<double> spread = statistics->denseSecondMoment;
        const std::size_t n = shift.rows();
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j) {
                spread(i, j) += (*C)(i, j) - statistics->crossMoment(i, j) - statistics->crossMoment(j, i);
                shift(i, j) -= (*C)(i, j);
            }
        loss += weightedProduct(device, W, &spread, W) + 2.0 * weightedProduct(device, W, &shift, D);
    }
    return std::max(loss, 0.0);
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
