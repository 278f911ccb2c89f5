#include "core/decomposition/curvature.h"
#include "core/decomposition/method_list.h"
#include "core/decomposition/projection_kernel.h"

namespace rankwright {

namespace {

/// W_hat = L^-T U_r U_r^T M with M = L^T target and G + damping = L L^T: the best W_hat of its rank for
/// 1/2 tr((G + damping) D A D^T), as U holds the eigenvectors of M A M^T; target is W, or the least-squares solution of
/// an anchored objective, whose own loss and residual come on top.
class CurvatureAnalysis final : public AnalysisInNats
{
public:
    /// `objective` is in the coordinates of M, its constant in nats.
    CurvatureAnalysis(const Device& device, const LinearProblem& problem, Objective objective, Matrix<double> factor,
                      ProjectionBasis basis)
        : m_device(device)
        , m_factor(std::move(factor))
    {
        std::vector<double> energies = directionEnergies(device, objective, basis);
        const double perToken = 0.5 / static_cast<double>(problem.statistics->tokens);
        for (double& energy : energies)
            energy *= perToken;
        m_losses = tailSums(energies, objective.constant);
        m_shape = {problem.W.rows(), problem.W.columns()};
        m_totalEnergy = m_losses.front();
        m_singularValues = std::move(basis.singularValues);
        m_events = std::move(objective.events);
        m_vectors = std::move(basis.vectors);
        m_coordinates = std::move(basis.coordinates);
    }

    Factorisation factorize(std::size_t rank) const override
    {
        requireRank(m_shape, rank, false);
        Factorisation result = leadingFactors(m_vectors, m_coordinates, rank);
        m_device.solveLower(Transpose::Yes, m_factor, result.B.view());
        return result;
    }

private:
    const Device& m_device;
    Matrix<double> m_factor;      ///< L, m x m
    Matrix<double> m_vectors;     ///< U^T, N x m
    Matrix<double> m_coordinates; ///< U^T M, N x n
};

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
        return "Kronecker-factored curvature (Martens and Grosse 2015, arXiv 1503.05671); compare GFWSVD, arXiv "
               "2505.17974";
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
        const auto inMetric = [&](const Matrix<double>& matrix) {
            Matrix<double> result(matrix.rows(), matrix.columns());
            device.gemm(Transpose::Yes, Transpose::No, 1.0, L.view(), matrix.view(), 0.0, result.view());
            return result;
        };
        if (!objective.residual.empty()) {
            objective.constant = curvatureLoss(device, problem, objective.target, damping);
            objective.residual = inMetric(objective.residual);
        }
        objective.target = inMetric(objective.target);
        Matrix<double> shrunk;
        InputMetric metric{.secondMoment = objective.secondMoment, .rankBound = objective.rankBound};
        if (const double shrinkage = parameterValue(*this, parameters, "shrinkage"); shrinkage > 0.0) {
            shrunk = withDamping(*objective.secondMoment, shrinkage);
            metric = {.secondMoment = &shrunk, .rankBound = shrunk.rows()};
        }
        ProjectionBasis basis = projectionBasis(device, objective.target, metric);
        return std::make_unique<CurvatureAnalysis>(device, problem, std::move(objective), std::move(L),
                                                   std::move(basis));
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
