#include "core/decomposition/refit.h"

#include "core/base/error.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace rankwright {

namespace {

/// Clears the rows of latents that C cannot tell from nothing: C is a sum of float32 products, and what is left of
/// larger terms that cancel is rounding. solveSemidefinite(), which scales to unit diagonals, would take it for a
/// second moment like any other. Returns how many latents stay.
std::size_t clearSilent(const Matrix<double>& A, const Matrix<double>& C, Matrix<double>& S, Matrix<double>& solution)
{
    constexpr double rounding = 1e-6;
    std::size_t heard = 0;
    for (std::size_t k = 0; k < S.rows(); ++k) {
        double apart = 0.0; // S(k, k) were the channels independent
        for (std::size_t j = 0; j < C.rows(); ++j)
            apart += A(k, j) * A(k, j) * C(j, j);
        if (S(k, k) > rounding * apart) {
            ++heard;
            continue;
        }
        for (std::size_t l = 0; l < S.rows(); ++l)
            S(k, l) = S(l, k) = 0.0;
        std::ranges::fill(solution.view().rowSpan(k), 0.0);
    }
    return heard;
}

/// B + (W - B A) C A^T (A C A^T)^+, m x r: of the B with the least loss the one next to that of the factors, which
/// stays as it is on latents that the inputs never take. `rankBound` is that of C, see Objective.
Matrix<double> bestOutputs(const Device& device, const Matrix<double>& W, const Matrix<double>& C,
                           const Factorisation& factors, std::size_t rankBound, const std::string& name)
{
    const Matrix<double>& A = factors.A;
    Matrix<double> missed = W;
    device.gemm(Transpose::No, Transpose::No, -1.0, factors.B.view(), A.view(), 1.0, missed.view());
    const Matrix<double> weighted = product(device, Transpose::No, A, Transpose::No, C);
    Matrix<double> S = product(device, Transpose::No, weighted, Transpose::Yes, A);
    Matrix<double> solution = product(device, Transpose::No, weighted, Transpose::Yes, missed);
    const std::size_t heard = clearSilent(A, C, S, solution);
    std::vector<NumericEvent> events;
    solveSemidefinite(device, S, std::min(heard, rankBound), solution, name, events);
    Matrix<double> B = factors.B;
    for (std::size_t i = 0; i < B.rows(); ++i)
        for (std::size_t k = 0; k < B.columns(); ++k)
            B(i, k) += solution(k, i);
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

namespace {

class RefitAnalysis final : public Analysis
{
public:
    RefitAnalysis(const Device& device, const Method& method, LinearProblem problem, MethodParameters parameters,
                  std::unique_ptr<Analysis> start, std::size_t alternations)
        : m_device(device)
        , m_method(method)
        , m_problem(std::move(problem))
        , m_parameters(std::move(parameters))
        , m_start(std::move(start))
        , m_alternations(alternations)
    {
        m_shape = m_start->shape();
        m_singularValues = m_start->singularValues();
        m_events = m_start->events();
        const Objective objective = makeObjective(m_device, m_method, m_problem, m_parameters);
        const Matrix<double> none(m_shape.rows, m_shape.columns);
        m_totalEnergy =
            m_method.needsGradients()
                ? m_method.measure(m_device, m_problem, m_parameters, none, {})
                : std::max(weightedProduct(m_device, m_problem.W, objective.secondMoment, m_problem.W), 0.0);
    }

    double loss(std::size_t rank) const override { return rank == 0 ? m_totalEnergy : fit(rank).loss; }
    std::vector<double> lossAtEveryRank() const override
    {
        std::vector<double> losses;
        for (std::size_t rank = 0; rank <= m_shape.fullRank(); ++rank)
            losses.push_back(loss(rank));
        return losses;
    }
    Factorisation factorize(std::size_t rank) const override { return fit(rank).factorisation; }

private:
    Refit fit(std::size_t rank) const
    {
        const std::lock_guard lock(m_mutex);
        if (m_rank != rank) {
            m_last =
                refitFactors(m_device, m_method, m_problem, m_parameters, m_start->factorize(rank), m_alternations);
            m_rank = rank;
        }
        return m_last;
    }

    const Device& m_device;
    const Method& m_method;
    LinearProblem m_problem;
    MethodParameters m_parameters;
    std::unique_ptr<Analysis> m_start;
    std::size_t m_alternations;
    mutable std::mutex m_mutex;
    mutable std::size_t m_rank = 0; ///< of m_last; 0: none
    mutable Refit m_last;
};

} // namespace

std::unique_ptr<Analysis> refitAnalysis(const Device& device, const Method& method, LinearProblem problem,
                                        MethodParameters parameters, std::unique_ptr<Analysis> start,
                                        std::size_t alternations)
{
    return std::make_unique<RefitAnalysis>(device, method, std::move(problem), std::move(parameters), std::move(start),
                                           alternations);
}

Refit refitFactors(const Device& device, const Method& method, const LinearProblem& problem,
                   const MethodParameters& parameters, const Factorisation& start, std::size_t alternations)
{
    const Objective objective = makeObjective(device, method, problem, parameters);
    if (problem.statistics == nullptr || !problem.statistics->crossMoment.empty() ||
        (method.needsGradients() && alternations > 1))
        throw Error(ErrorKind::Internal,
                    "factors are fitted again to plain statistics only, A not in a metric of outputs",
                    {.tensor = problem.name});
    const Matrix<double>& C = *objective.secondMoment;
    Matrix<double> W = problem.W;
    addSparse(start.sparse, -1.0, W.view());
    const auto lossOf = [&](const Factorisation& factors) {
        Matrix<double> D = W;
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
            next.A = product(device, Transpose::Yes, next.B, Transpose::No, W);
        next.B = bestOutputs(device, W, C, next, objective.rankBound, problem.name);
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
    if (method.needsGradients())
        result.loss = method.measure(device, problem, parameters, result.factorisation.approximation(device), {});
    return result;
}

} // namespace rankwright
