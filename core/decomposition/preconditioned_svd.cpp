#include "core/decomposition/input_metrics.h"
#include "core/decomposition/method_list.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

enum class Preconditioner { DiagonalHessian, DiagonalL1, DiagonalL2, Covariance, RootCovariance, Identity };

/// What an InputMetric points to.
struct PreparedMetric
{
    InputMetric metric;
    Matrix<double> moment;
};

class PreconditionedSvd final : public Method
{
public:
    std::string_view name() const override { return "preconditioned-svd"; }
    std::string_view title() const override { return "Preconditioned SVD"; }
    std::string_view description() const override
    {
        return "Truncated SVD of W P with one of LatentLLM's local preconditioners P, for comparison with the optimal "
               "root covariance.";
    }
    std::string_view source() const override { return "LatentLLM, arXiv 2505.18413 (constants inferred)"; }
    std::vector<ParameterInfo> parameters() const override
    {
        return {choiceParameter(
                    "preconditioner", "P: what inputs are scaled by before truncation",
                    {"diagonal-hessian", "diagonal-l1", "diagonal-l2", "covariance", "root-covariance", "identity"}),
                {"alpha", "Exponent of the mean absolute input (diagonal-l1)", 0.5, 0.0, 2.0, false},
                {"damping",
                 "lambda of C + lambda I over the mean of C's diagonal (diagonal-hessian, covariance, root-covariance)",
                 0.01, 0.0, 10.0, false},
                biasUpdateInfo()};
    }
    bool needsStatistics() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        PreparedMetric prepared;
        prepare(device, problem, parameters, objective, prepared);
        ProjectionBasis basis = projectionBasis(device, objective.target, prepared.metric);
        basis.secondMoment = nullptr;
        return std::make_unique<ProjectionAnalysis>(device, std::move(objective), std::move(basis));
    }

private:
    void prepare(const Device& device, const LinearProblem& problem, const MethodParameters& parameters,
                 Objective& objective, PreparedMetric& prepared) const
    {
        const Matrix<double>& C = *objective.secondMoment;
        const std::size_t n = C.rows();
        const auto kind =
            static_cast<Preconditioner>(static_cast<int>(parameterValue(*this, parameters, "preconditioner")));
        InputMetric& metric = prepared.metric;
        metric.rankBound = n;
        const auto damping = [&] {
            const double lambda = dampingOf(C, parameterValue(*this, parameters, "damping"));
            objective.events.push_back({"damping", problem.name,
                                        fmt::format("{:.3g} added to the diagonal of the second moment", lambda),
                                        lambda});
            return lambda;
        };
        switch (kind) {
        case Preconditioner::DiagonalHessian:
            metric.scale = hessianScale(device, C, damping(), problem.name);
            break;
        case Preconditioner::DiagonalL1:
            metric.scale = channelScale(problem, parameterValue(*this, parameters, "alpha"));
            break;
        case Preconditioner::DiagonalL2:
            for (std::size_t j = 0; j < n; ++j)
                metric.scale.push_back(std::sqrt(std::max(C(j, j), 0.0)));
            raiseToFloor(metric.scale);
            break;
        case Preconditioner::Covariance:
        case Preconditioner::RootCovariance: {
            const double lambda = damping();
            Matrix<double> damped = C;
            for (std::size_t j = 0; j < n; ++j)
                damped(j, j) += lambda;
            metric.rankBound = lambda > 0.0 ? n : objective.rankBound;
            if (kind == Preconditioner::RootCovariance) {
                prepared.moment = std::move(damped);
            } else {
                prepared.moment = Matrix<double>(n, n);
                device.gram(Transpose::No, damped.view(), prepared.moment.view());
            }
            metric.secondMoment = &prepared.moment;
            break;
        }
        case Preconditioner::Identity:
            break;
        }
    }
};

} // namespace

const Method& preconditionedSvd()
{
    static const PreconditionedSvd method;
    return method;
}

} // namespace rankwright
