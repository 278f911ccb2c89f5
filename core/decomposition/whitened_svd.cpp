#include "core/decomposition/method_list.h"
#include "core/decomposition/projection_kernel.h"

namespace rankwright {

namespace {

class WhitenedSvd final : public Method
{
public:
    std::string_view name() const override { return "whitened-svd"; }
    std::string_view title() const override { return "Whitened SVD"; }
    std::string_view description() const override
    {
        return "The least output error on the calibration inputs that any matrix of the rank can have.";
    }
    std::string_view source() const override
    {
        return "SVD-LLM (arXiv 2403.07378) and its v2 (arXiv 2503.12340); root covariance of LatentLLM (arXiv "
               "2505.18413); "
               "ASVD-I and ASVD-II of NSVD (arXiv 2503.17101); anchored: AA-SVD";
    }
    std::vector<std::string_view> aliases() const override
    {
        return {"svd-llm", "svd-llm-v2", "root-covariance", "asvd-i", "asvd-ii"};
    }
    std::vector<ParameterInfo> parameters() const override { return {anchorRidgeInfo(), biasUpdateInfo()}; }
    bool needsStatistics() const override { return true; }
    bool supportsAnchored() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        const InputMetric metric{.secondMoment = objective.secondMoment, .rankBound = objective.rankBound};
        ProjectionBasis basis = projectionBasis(device, objective.target, metric);
        return std::make_unique<ProjectionAnalysis>(device, std::move(objective), std::move(basis));
    }
};

} // namespace

const Method& whitenedSvd()
{
    static const WhitenedSvd method;
    return method;
}

} // namespace rankwright
