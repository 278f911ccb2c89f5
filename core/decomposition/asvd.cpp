#include "core/decomposition/input_metrics.h"
#include "core/decomposition/method_list.h"

namespace rankwright {

namespace {

class Asvd final : public Method
{
public:
    std::string_view name() const override { return "asvd"; }
    std::string_view title() const override { return "ASVD"; }
    std::string_view description() const override
    {
        return "Truncated SVD after scaling each input channel by its mean absolute value to the power alpha.";
    }
    std::string_view source() const override
    {
        return "Yuan et al. 2023, ASVD, arXiv 2312.05821; ASVD-0 of NSVD (arXiv 2503.17101)";
    }
    std::vector<std::string_view> aliases() const override { return {"asvd-0"}; }
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
