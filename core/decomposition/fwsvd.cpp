#include "core/base/error.h"
#include "core/decomposition/curvature.h"
#include "core/decomposition/input_metrics.h"
#include "core/decomposition/method_list.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

/// A projection whose losses are in nats.
class FwsvdAnalysis final : public AnalysisInNats
{
public:
    FwsvdAnalysis(const Device& device, const LinearProblem& problem, Objective objective, ProjectionBasis basis)
        : m_projection(device, std::move(objective), std::move(basis))
    {
        m_losses = m_projection.curvatureCurve(device, problem);
        m_shape = m_projection.shape();
        m_totalEnergy = m_losses.front();
        m_singularValues = m_projection.singularValues();
        m_events = m_projection.events();
    }
    Factorisation factorize(std::size_t rank) const override { return m_projection.factorize(rank); }

private:
    ProjectionAnalysis m_projection;
};

class Fwsvd final : public Method
{
public:
    std::string_view name() const override { return "fwsvd"; }
    std::string_view title() const override { return "FWSVD"; }
    std::string_view description() const override
    {
        return "Truncated SVD of weights whose input channels are scaled by their Fisher information.";
    }
    std::string_view source() const override
    {
        return "Fisher-weighted SVD (Hsu et al., ICLR 2022), arXiv 2207.00112; floor of 1e-6 ours";
    }
    std::vector<std::string_view> aliases() const override { return {"fisher-svd"}; }
    bool needsStatistics() const override { return true; }
    bool needsGradients() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        requireCurvature(problem);
        const std::vector<double>& squares = problem.gradients->weightSquares;
        if (squares.size() != problem.W.columns())
            throw Error(squares.empty() ? ErrorKind::InvalidArgument : ErrorKind::Mismatch,
                        fmt::format("needs squared weight gradients of {} input channels, there are {}",
                                    problem.W.columns(), squares.size()),
                        {.tensor = problem.name});
        InputMetric metric{.rankBound = problem.W.columns()};
        for (const double square : squares) {
            if (!(square >= 0.0) || !std::isfinite(square))
                throw Error(ErrorKind::NonFinite, "a squared weight gradient is not a finite number from 0",
                            {.tensor = problem.name});
            metric.scale.push_back(std::sqrt(square));
        }
        raiseToFloor(metric.scale);
        ProjectionBasis basis = projectionBasis(device, objective.target, metric);
        return std::make_unique<FwsvdAnalysis>(device, problem, std::move(objective), std::move(basis));
    }

    double measure(const Device& device, const LinearProblem& problem, const MethodParameters&,
                   const Matrix<double>& approximation, std::span<const double>) const override
    {
        return curvatureLoss(device, problem, approximation);
    }
};

} // namespace

const Method& fwsvd()
{
    static const Fwsvd method;
    return method;
}

} // namespace rankwright
