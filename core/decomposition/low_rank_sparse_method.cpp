#include "core/decomposition/low_rank_sparse.h"
#include "core/decomposition/method_list.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>

namespace rankwright {

namespace {

class LowRankSparseAnalysis final : public Analysis
{
public:
    LowRankSparseAnalysis(const Device& device, Objective objective, double share, std::size_t iterations)
        : m_share(share)
        , m_iterations(iterations)
        , m_objective(std::move(objective))
        , m_secondMoment(*m_objective.secondMoment)
        , m_solver(device, m_objective.target, m_secondMoment, m_objective.rankBound)
        , m_plain(tailSums(directionEnergies(device, m_objective, m_solver.start()), m_objective.constant))
    {
        m_shape = {m_objective.target.rows(), m_objective.target.columns()};
        m_totalEnergy = m_plain.front();
        m_singularValues = m_solver.start().singularValues;
        m_events = m_objective.events;
    }

    double loss(std::size_t rank) const override
    {
        requireRank(m_shape, rank, true);
        if (entries(rank) == 0)
            return m_plain[rank];
        const std::lock_guard lock(m_mutex);
        const auto known = m_losses.find(rank);
        return known != m_losses.end() ? known->second : solved(rank).loss;
    }

    std::vector<double> lossAtEveryRank() const override
    {
        std::vector<double> losses;
        for (std::size_t rank = 0; rank <= m_shape.fullRank(); ++rank)
            losses.push_back(loss(rank));
        return losses;
    }

    bool planningIsExact() const override { return m_share == 0.0; }

    /// The share of the loss without S that a few iterations leave, at six ranks, and in proportion between.
    std::vector<double> planningCurve() const override
    {
        constexpr std::size_t points = 6;
        const std::size_t full = m_shape.fullRank();
        std::vector<double> curve = m_plain;
        std::size_t from = 0;
        double before = 1.0;
        for (std::size_t point = 1; point <= points + 1; ++point) {
            const std::size_t rank = full * point / (points + 1);
            if (rank <= from)
                continue;
            const double left = rank == full ? before : shareLeft(rank);
            for (std::size_t between = from + 1; between <= rank; ++between) {
                const double way = static_cast<double>(between - from) / static_cast<double>(rank - from);
                curve[between] = std::min(m_plain[between] * ((1.0 - way) * before + way * left), curve[between - 1]);
            }
            from = rank;
            before = left;
        }
        return curve;
    }

    Factorisation factorize(std::size_t rank) const override
    {
        requireRank(m_shape, rank, false);
        const std::lock_guard lock(m_mutex);
        const Solved& last = solved(rank);
        Factorisation result{last.parts.B, last.parts.A, {}, {}};
        if (!last.parts.S.empty())
            result.sparse = last.parts.S;
        m_objective.bias.apply(result);
        return result;
    }

private:
    struct Solved
    {
        std::size_t rank = 0;
        LowRankSparseParts parts;
        double loss = 0.0;
    };

    std::size_t entries(std::size_t rank) const { return sparseEntries(m_shape, rank, m_share); }

    /// With the lock held. Every rank is solved from the same start, so that a result depends on nothing before it.
    const Solved& solved(std::size_t rank) const
    {
        if (m_last.rank == rank)
            return m_last;
        m_last.parts = m_solver.solve(rank, entries(rank), m_iterations);
        m_last.rank = rank;
        m_last.loss = lossOf(m_last.parts);
        m_losses[rank] = m_last.loss;
        return m_last;
    }

    /// The objective, and what Objective says is missing from it.
    double lossOf(const LowRankSparseParts& parts) const
    {
        double sum = m_objective.constant + parts.objective.back();
        if (!m_objective.residual.empty()) {
            Matrix<double> D = m_objective.target;
            addSparse(parts.S, -1.0, D.view());
            m_solver.device().gemm(Transpose::No, Transpose::No, -1.0, parts.B.view(), parts.A.view(), 1.0, D.view());
            sum += 2.0 * std::inner_product(D.span().begin(), D.span().end(), m_objective.residual.span().begin(), 0.0);
        }
        return std::max(sum, 0.0);
    }

    double shareLeft(std::size_t rank) const
    {
        constexpr std::size_t few = 3;
        if (entries(rank) == 0 || m_plain[rank] <= 0.0)
            return 1.0;
        const double left = lossOf(m_solver.solve(rank, entries(rank), std::min(few, m_iterations)));
        return std::clamp(left / m_plain[rank], 0.0, 1.0);
    }

    double m_share;
    std::size_t m_iterations;
    Objective m_objective;
    Matrix<double> m_secondMoment; ///< the problem's need not live as long
    LowRankSparse m_solver;
    std::vector<double> m_plain; ///< losses without S
    mutable std::mutex m_mutex;
    mutable Solved m_last;
    mutable std::map<std::size_t, double> m_losses;
};

class LowRankSparseMethod final : public Method
{
public:
    std::string_view name() const override { return "low-rank-sparse"; }
    std::string_view title() const override { return "Low rank + sparse"; }
    std::string_view description() const override
    {
        return "Factors and a few single weights beside them, for the least output error of both together.";
    }
    std::string_view source() const override
    {
        return "LatentLLM (arXiv 2505.18413), appendix, rebuilt from its stated objective; steps of S our own";
    }
    std::vector<ParameterInfo> parameters() const override
    {
        return {{"sparseShare", "Share of the parameters of factors and sparse part together that the sparse part gets",
                 0.2, 0.0, 0.9, false},
                {"iterations", "Alternations between factors and sparse part", 10.0, 1.0, 200.0, true},
                anchorRidgeInfo(),
                biasUpdateInfo()};
    }
    bool needsStatistics() const override { return true; }
    bool supportsAnchored() const override { return true; }

    double sparseShare(const MethodParameters& parameters) const override
    {
        return parameterValue(*this, parameters, "sparseShare");
    }
    // Of a linear with m = n at a third of the rank, an alternation is two thirds of an eigenproblem.
    double planningEigenproblems() const override { return 6.0 * 3.0 * 0.7; }
    double factorisingEigenproblems(const MethodParameters& parameters) const override
    {
        return 0.7 * parameterValue(*this, parameters, "iterations") + 1.0;
    }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        return std::make_unique<LowRankSparseAnalysis>(
            device, makeObjective(device, *this, problem, parameters), sparseShare(parameters),
            static_cast<std::size_t>(parameterValue(*this, parameters, "iterations")));
    }
};

} // namespace

const Method& lowRankSparse()
{
    static const LowRankSparseMethod method;
    return method;
}

} // namespace rankwright
