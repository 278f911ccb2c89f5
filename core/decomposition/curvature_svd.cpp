#include "core/decomposition/method_list.h"
#include "core/decomposition/two_sided.h"

namespace rankwright {

namespace {

/// Of the best W_hat of its rank for 1/2 tr((G + damping) D A D^T), G + damping = L L^T, as U holds the eigenvectors of
/// M A M^T; the target is W, or the least-squares solution of an anchored objective, whose own loss and residual come
/// on top. `objective` is in the coordinates of M, its constant in nats.
std::vector<double> lossesInNats(const Device& device, const LinearProblem& problem, const Objective& objective,
                                 const ProjectionBasis& basis)
{
    std::vector<double> energies = directionEnergies(device, objective, basis);
    const double nats = natsOfEnergy(problem);
    for (double& energy : energies)
        energy *= nats;
    return tailSums(energies, objective.constant);
}

class CurvatureSvd final : public Method
{
public:
    std::string_view name() const override { return "curvature-svd"; }
    std::string_view title() const override { return "Curvature SVD"; }
    std::string_view description() const override
    {
        return "The least loss in nats, to second order: whitened by input statistics and by gradients of the loss.";
    }
    std::string_view source() const override
    {
        return "Kronecker-factored curvature (Martens and Grosse 2015, arXiv 1503.05671)";
    }
    std::vector<std::string_view> aliases() const override { return {"two-sided-svd"}; }
    std::vector<ParameterInfo> parameters() const override
    {
        return {dampingInfo(),
                {"shrinkage",
                 "Added to the inputs' second moment where directions are chosen, as a share of its mean diagonal; "
                 "losses stay exact",
                 0.0, 0.0, 1e3, false},
                anchorRidgeInfo()};
    }
    bool needsStatistics() const override { return true; }
    bool needsGradients() const override { return true; }
    bool supportsAnchored() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        const double damping = parameterValue(*this, parameters, "damping");
        Matrix<double> L = dampedCurvature(device, problem, damping, objective.events);
        if (!objective.residual.empty()) {
            objective.constant = curvatureLoss(device, problem, objective.target, damping);
            objective.residual = inOutputMetric(device, L, objective.residual);
        }
        objective.target = inOutputMetric(device, L, objective.target);
        Matrix<double> shrunk;
        InputMetric metric{.secondMoment = objective.secondMoment, .rankBound = objective.rankBound};
        if (const double shrinkage = parameterValue(*this, parameters, "shrinkage"); shrinkage > 0.0) {
            shrunk = withDamping(*objective.secondMoment, shrinkage);
            metric = {.secondMoment = &shrunk, .rankBound = shrunk.rows()};
        }
        ProjectionBasis basis = projectionBasis(device, objective.target, metric);
        std::vector<double> losses = lossesInNats(device, problem, objective, basis);
        return std::make_unique<TwoSidedAnalysis>(device, LinearShape{problem.W.rows(), problem.W.columns()},
                                                  std::move(L), std::move(basis), std::move(losses),
                                                  std::move(objective.events));
    }

    double measure(const Device& device, const LinearProblem& problem, const MethodParameters& parameters,
                   const Matrix<double>& approximation, std::span<const double> biasChange) const override
    {
        return curvatureLoss(device, problem, approximation, parameterValue(*this, parameters, "damping"), biasChange);
    }
};

} // namespace

const Method& curvatureSvd()
{
    static const CurvatureSvd method;
    return method;
}

} // namespace rankwright
