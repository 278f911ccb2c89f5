#include "core/base/error.h"
#include "core/decomposition/method_list.h"
#include "core/decomposition/projection_kernel.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

/// diag(mean |x|)^alpha, at least 1e-6 of the largest so that a channel never seen does not vanish.
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
    const double largest = *std::max_element(scale.begin(), scale.end());
    for (double& value : scale)
        value = largest > 0.0 ? std::max(value, 1e-6 * largest) : 1.0;
    return scale;
}

class Asvd final : public Method
{
public:
    std::string_view name() const override { return "asvd"; }
    std::string_view title() const override { return "ASVD"; }
    std::string_view description() const override
    {
        return "Truncated SVD after scaling each input channel by its mean absolute value to the power alpha.";
    }
    std::string_view source() const override { return "Yuan et al. 2023, ASVD, arXiv 2312.05821"; }
    std::vector<ParameterInfo> parameters() const override
    {
        return {{"alpha", "Exponent of the mean absolute input of a channel; 0 is plain SVD", 0.5, 0.0, 2.0, false},
                biasUpdateInfo()};
    }
    bool needsStatistics() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        const InputMetric metric{.scale = channelScale(problem, parameterValue(*this, parameters, "alpha")),
                                 .rankBound = problem.W.columns()};
        ProjectionBasis basis = projectionBasis(device, objective.target, metric);
        return std::make_unique<ProjectionAnalysis>(device, std::move(objective), std::move(basis));
    }
};

} // namespace

const Method& asvd()
{
    static const Asvd method;
    return method;
}

} // namespace rankwright
