#include "core/base/error.h"
#include "core/compute/elementwise.h"
#include "core/decomposition/method_list.h"
#include "core/decomposition/two_sided.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

enum class Inputs { Fisher, SecondMoment };
enum class Outputs { Fisher, FisherDiagonal };

/// Throws unless the gradients have both moments of weight gradients, finite.
void requireWeightMoments(const LinearProblem& problem)
{
    requireCurvature(problem);
    const Matrix<double>& inputs = problem.gradients->weightInputs;
    const Matrix<double>& outputs = problem.gradients->weightOutputs;
    if (inputs.empty())
        throw Error(ErrorKind::InvalidArgument,
                    "needs moments of weight gradients: calibrate with this method, or with --weight-moments",
                    {.tensor = problem.name});
    if (inputs.rows() != problem.W.columns() || outputs.rows() != problem.W.rows())
        throw Error(ErrorKind::Mismatch,
                    fmt::format("moments of weight gradients of {}x{} for a linear of {}x{}", outputs.rows(),
                                inputs.rows(), problem.W.rows(), problem.W.columns()),
                    {.tensor = problem.name});
    for (const Matrix<double>* moment : {&inputs, &outputs})
        if (!allFinite(moment->span()))
            throw Error(ErrorKind::NonFinite, "a moment of weight gradients is not finite", {.tensor = problem.name});
}

Matrix<double> diagonalOf(const Matrix<double>& matrix)
{
    Matrix<double> result(matrix.rows(), matrix.columns());
    for (std::size_t i = 0; i < matrix.rows(); ++i)
        result(i, i) = matrix(i, i);
    return result;
}

/// With V the gradient of a window's loss with respect to W, the observed Fisher of W is the mean of vec(V) vec(V)^T;
/// its nearest Kronecker product is taken as what the first step of its power iteration gives, sum V V^T and sum V^T V.
class Gfwsvd final : public Method
{
public:
    std::string_view name() const override { return "gfwsvd"; }
    std::string_view title() const override { return "GFWSVD"; }
    std::string_view description() const override
    {
        return "Whitened on both sides by Kronecker factors of the Fisher information of the weights.";
    }
    std::string_view source() const override
    {
        return "Generalized Fisher-Weighted SVD, arXiv 2505.17974; factors by one step of power iteration (Morwani et "
               "al. 2024, arXiv 2406.17748), not Lanczos";
    }
    std::vector<std::string_view> aliases() const override { return {"generalized-fisher-svd"}; }
    std::vector<ParameterInfo> parameters() const override
    {
        return {dampingInfo(),
                choiceParameter("inputs", "What inputs are weighted by: the Fisher factor, or their second moment",
                                {"fisher", "second-moment"}),
                choiceParameter("outputs", "What outputs are weighted by: the Fisher factor, or its diagonal",
                                {"fisher", "fisher-diagonal"})};
    }
    bool needsStatistics() const override { return true; }
    bool needsGradients() const override { return true; }
    bool needsWeightMoments() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        requireWeightMoments(problem);
        const TapStatistics& gradients = *problem.gradients;
        const bool diagonal = static_cast<Outputs>(static_cast<int>(parameterValue(*this, parameters, "outputs"))) ==
                              Outputs::FisherDiagonal;
        const bool fisherInputs =
            static_cast<Inputs>(static_cast<int>(parameterValue(*this, parameters, "inputs"))) == Inputs::Fisher;
        Matrix<double> L =
            dampedFactor(device, problem, diagonal ? diagonalOf(gradients.weightOutputs) : gradients.weightOutputs,
                         gradients.tokens, parameterValue(*this, parameters, "damping"), objective.events);
        const InputMetric metric =
            fisherInputs
                ? InputMetric{.secondMoment = &gradients.weightInputs, .rankBound = gradients.weightInputs.rows()}
                : InputMetric{.secondMoment = objective.secondMoment, .rankBound = objective.rankBound};
        ProjectionBasis basis = projectionBasis(device, inOutputMetric(device, L, objective.target), metric);
        // What is left at rank r is the sum over i >= r of b_i a_i^T, B = L^-T U, A = U^T L^T W.
        Factorisation all = leadingFactors(basis.vectors, basis.coordinates, basis.vectors.rows());
        device.solveLower(Transpose::Yes, L, all.B.view());
        std::vector<double> losses = projectionCurvature(device, problem, transposed(all.B), basis.coordinates);
        return std::make_unique<TwoSidedAnalysis>(device, LinearShape{problem.W.rows(), problem.W.columns()},
                                                  std::move(L), std::move(basis), std::move(losses),
                                                  std::move(objective.events));
    }

    double measure(const Device& device, const LinearProblem& problem, const MethodParameters&,
                   const Matrix<double>& approximation, std::span<const double> biasChange) const override
    {
        return curvatureLoss(device, problem, approximation, 0.0, biasChange);
    }
};

} // namespace

const Method& gfwsvd()
{
    static const Gfwsvd method;
    return method;
}

} // namespace rankwright
