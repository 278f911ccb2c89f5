#include "core/decomposition/refit.h"

#include "core/base/error.h"

#include <algorithm>
#include <utility>

namespace rankwright {

namespace {

Matrix<double> product(const Device& device, Transpose transposeA, const Matrix<double>& A, Transpose transposeB,
                       const Matrix<double>& B)
{
    Matrix<double> C(transposeA == Transpose::Yes ? A.columns() : A.rows(),
                     transposeB == Transpose::Yes ? B.rows() : B.columns());
    device.gemm(transposeA, transposeB, 1.0, A.view(), B.view(), 0.0, C.view());
    return C;
}

/// B = W C A^T (A C A^T)^+, m x r.
Matrix<double> bestOutputs(const Device& device, const LinearProblem& problem, const Matrix<double>& C,
                           const Matrix<double>& A)
{
    const Matrix<double> weighted = product(device, Transpose::No, A, Transpose::No, C);
    const Matrix<double> S = product(device, Transpose::No, weighted, Transpose::Yes, A);
    Matrix<double> solution = product(device, Transpose::No, weighted, Transpose::Yes, problem.W);
    std::vector<NumericEvent> events;
    solveSemidefinite(device, S, S.rows(), solution, problem.name, events);
    Matrix<double> B(solution.columns(), solution.rows());
    for (std::size_t i = 0; i < B.rows(); ++i)
        for (std::size_t k = 0; k < B.columns(); ++k)
            B(i, k) = solution(k, i);
    return B;
}

/// The same product with orthonormal columns of B.
void orthonormalise(const Device& device, Factorisation& factors)
{
    QrFactors qr = device.qr(std::move(factors.B));
    factors.B = std::move(qr.Q);
    factors.A = product(device, Transpose::No, qr.R, Transpose::No, factors.A);
}

} // namespace

Refit refitFactors(const Device& device, const Method& method, const LinearProblem& problem,
                   const MethodParameters& parameters, const Factorisation& start, std::size_t alternations)
{
    const Objective objective = makeObjective(device, method, problem, parameters);
    if (problem.statistics == nullptr || !problem.statistics->crossMoment.empty())
        throw Error(ErrorKind::Internal, "factors are fitted again to plain statistics only", {.tensor = problem.name});
    const Matrix<double>& C = *objective.secondMoment;
    const auto lossOf = [&](const Factorisation& factors) {
        Matrix<double> D = problem.W;
        device.gemm(Transpose::No, Transpose::No, -1.0, factors.B.view(), factors.A.view(), 1.0, D.view());
        return std::max(weightedProduct(device, D, &C, D), 0.0);
    };
    constexpr double worthwhile = 1e-4;
    Refit result{.factorisation = start,
                 .totalEnergy = std::max(weightedProduct(device, problem.W, &C, problem.W), 0.0)};
    result.factorisation.bias.clear();
    result.loss = lossOf(result.factorisation);
    for (std::size_t round = 0; round < std::max<std::size_t>(alternations, 1); ++round) {
        Factorisation next = result.factorisation;
        if (round > 0)
            next.A = product(device, Transpose::Yes, next.B, Transpose::No, problem.W);
        next.B = bestOutputs(device, problem, C, next.A);
        orthonormalise(device, next);
        const double loss = lossOf(next);
        // Rounding alone may raise a loss that is as good as nothing.
        if (loss >= result.loss)
            break;
        const bool last = result.loss - loss < worthwhile * result.loss;
        result.factorisation = std::move(next);
        result.loss = loss;
        if (last)
            break;
    }
    objective.bias.apply(result.factorisation);
    return result;
}

} // namespace rankwright
