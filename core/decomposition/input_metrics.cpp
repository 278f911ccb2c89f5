#include "core/decomposition/input_metrics.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace rankwright {

void raiseToFloor(std::vector<double>& scale)
{
    constexpr double floor = 1e-6;
    const double largest = *std::max_element(scale.begin(), scale.end());
    for (double& value : scale)
        value = largest > 0.0 ? std::max(value, floor * largest) : 1.0;
}

std::vector<double> channelScale(const LinearProblem& problem, double alpha)
{
    const TapStatistics& statistics = *problem.statistics;
    if (statistics.sumAbs.size() != problem.W.columns())
        throw Error(ErrorKind::Mismatch,
                    fmt::format("statistics hold {} mean absolute values for {} input channels",
                                statistics.sumAbs.size(), problem.W.columns()),
                    {.tensor = problem.name});
    std::vector<double> scale;
    for (const double sum : statistics.sumAbs) {
        if (!std::isfinite(sum))
            throw Error(ErrorKind::NonFinite, "mean absolute input has values that are not finite",
                        {.tensor = problem.name});
        scale.push_back(std::pow(sum / static_cast<double>(std::max<std::size_t>(statistics.tokens, 1)), alpha));
    }
    raiseToFloor(scale);
    return scale;
}

double dampingOf(const Matrix<double>& C, double share)
{
    double trace = 0.0;
    for (std::size_t j = 0; j < C.rows(); ++j)
        trace += C(j, j);
    if (trace <= 0.0 && share > 0.0)
        return 1.0; // nothing ever arrives: every metric is as good
    return share * std::max(trace, 0.0) / static_cast<double>(C.rows());
}

std::vector<double> hessianScale(const Device& device, const Matrix<double>& C, double lambda, const std::string& name)
{
    const std::size_t n = C.rows();
    Matrix<double> damped = C;
    Matrix<double> inverse(n, n);
    for (std::size_t j = 0; j < n; ++j) {
        damped(j, j) += lambda;
        inverse(j, j) = 1.0;
    }
    try {
        device.solvePositiveDefinite(std::move(damped), inverse.view());
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::Numeric)
            throw;
        throw Error(
            ErrorKind::Numeric,
            fmt::format("C + {:.3g} I has no inverse; raise the parameter damping, or calibrate on more text", lambda),
            {.tensor = name});
    }
    std::vector<double> scale(n);
    for (std::size_t j = 0; j < n; ++j)
        scale[j] = 1.0 / std::sqrt(std::max(inverse(j, j), 1e-300));
    raiseToFloor(scale);
    const double largest = *std::max_element(scale.begin(), scale.end());
    for (double& value : scale)
        value /= largest;
    return scale;
}

} // namespace rankwright
