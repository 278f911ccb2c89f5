#include "core/decomposition/method_list.h"
#include "core/decomposition/projection_kernel.h"

namespace rankwright {

namespace {

class PlainSvd final : public Method
{
public:
    std::string_view name() const override { return "svd"; }
    std::string_view title() const override { return "Plain SVD"; }
    std::string_view description() const override
    {
        return "Truncated SVD of the weights: closest in the Frobenius norm, blind to the inputs.";
    }
    std::string_view source() const override { return "Eckart and Young 1936"; }
    std::vector<ParameterInfo> parameters() const override { return {biasUpdateInfo()}; }
    bool needsStatistics() const override { return false; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        ProjectionBasis basis = projectionBasis(device, objective.target, {.rankBound = problem.W.columns()});
        return std::make_unique<ProjectionAnalysis>(device, std::move(objective), std::move(basis));
    }
};

} // namespace

const Method& plainSvd()
{
    static const PlainSvd method;
    return method;
}

} // namespace rankwright
