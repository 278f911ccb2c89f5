#include "core/decomposition/shared_latents.h"

#include "core/base/error.h"
#include "core/decomposition/curvature.h"
#include "core/decomposition/projection_kernel.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <numeric>

namespace rankwright {

namespace {

/// Rows of one member among those of all.
struct Rows
{
    std::size_t first = 0;
    std::size_t count = 0;
};

std::vector<Rows> rowsOf(const GroupProblem& group)
{
    std::vector<Rows> rows;
    std::size_t first = 0;
    for (const GroupMember& member : group.members) {
        rows.push_back({first, member.problem.W.rows()});
        first += rows.back().count;
    }
    return rows;
}

Matrix<double> part(const Matrix<double>& stack, Rows rows)
{
    Matrix<double> result(rows.count, stack.columns());
    std::copy_n(stack.row(rows.first), result.size(), result.data());
    return result;
}

/// F S.
Matrix<double> inMetric(const Device& device, const Matrix<double>& S, const std::vector<Rows>& rows,
                        const std::vector<OutputMetric>& metrics)
{
    Matrix<double> result = S;
    for (std::size_t b = 0; b < rows.size(); ++b) {
        const MatrixView<double> target = result.view().rowRange(rows[b].first, rows[b].count);
        if (!metrics[b].factor.empty())
            device.gemm(Transpose::Yes, Transpose::No, 1.0, metrics[b].factor.view(),
                        S.view().rowRange(rows[b].first, rows[b].count), 0.0, target);
        else
            for (std::size_t i = 0; i < target.rows; ++i)
                for (double& value : target.rowSpan(i))
                    value *= metrics[b].scale;
    }
    return result;
}

/// What direction k of the stack has of the energy of a member.
double energyOf(const ProjectionBasis& basis, std::size_t k, Rows member)
{
    const double* own = basis.vectors.row(k) + member.first;
    return basis.metricEnergies[k] * std::inner_product(own, own + member.count, own, 0.0);
}

/// Eigenvectors of the stack are of unit length up to rounding, also where a member has no energy of its own (weights
/// that are zero): what they have there is set to zero, so that such a member is stored and measured as zero.
void clearEmptyMembers(const std::vector<Rows>& rows, ProjectionBasis& basis)
{
    const double all = std::accumulate(basis.metricEnergies.begin(), basis.metricEnergies.end(), 0.0);
    const double rounding = std::numeric_limits<double>::epsilon() * static_cast<double>(basis.vectors.columns());
    for (const Rows& member : rows) {
        double energy = 0.0;
        for (std::size_t k = 0; k < basis.vectors.rows(); ++k)
            energy += energyOf(basis, k, member);
        if (energy > rounding * rounding * all)
            continue;
        for (std::size_t k = 0; k < basis.vectors.rows(); ++k)
            std::fill_n(basis.vectors.row(k) + member.first, member.count, 0.0);
    }
}

class SharedLatents final : public SharedAnalysis
{
public:
    SharedLatents(const Device& device, const GroupProblem& group, Objective objective,
                  const std::vector<OutputMetric>& metrics)
        : m_rows(rowsOf(group))
        , m_inNats(!metrics.front().factor.empty())
    {
        const InputMetric inputs{.secondMoment = objective.secondMoment, .rankBound = objective.rankBound};
        ProjectionBasis basis = projectionBasis(device, inMetric(device, objective.target, m_rows, metrics), inputs);
        clearEmptyMembers(m_rows, basis);
        m_shape = {objective.target.rows(), objective.target.columns()};
        sumLosses(device, group, objective, metrics, basis);
        m_totalEnergy = m_losses.front();
        m_singularValues = std::move(basis.singularValues);
        m_events = std::move(objective.events);
        m_bias = std::move(objective.bias);
        m_coordinates = std::move(basis.coordinates);
        m_outputs = Matrix<double>(m_shape.rows, basis.vectors.rows());
        for (std::size_t i = 0; i < m_outputs.rows(); ++i)
            for (std::size_t k = 0; k < m_outputs.columns(); ++k)
                m_outputs(i, k) = basis.vectors(k, i);
        for (std::size_t b = 0; b < m_rows.size(); ++b) {
            const MatrixView<double> own = m_outputs.view().rowRange(m_rows[b].first, m_rows[b].count);
            if (m_inNats)
                device.solveLower(Transpose::Yes, metrics[b].factor, own);
            else
                for (std::size_t i = 0; i < own.rows; ++i)
                    for (double& value : own.rowSpan(i))
                        value /= metrics[b].scale;
        }
    }

    double loss(std::size_t rank) const override
    {
        requireRank(m_shape, rank, true);
        return m_losses[rank];
    }
    std::vector<double> lossAtEveryRank() const override { return m_losses; }
    const std::vector<double>& memberLosses(std::size_t index) const override { return m_memberLosses[index]; }

    std::vector<double> memberNats(const Device& device, const GroupProblem& group, std::size_t index) const override
    {
        if (m_inNats)
            return m_memberLosses[index];
        LinearProblem problem = group.members[index].problem;
        requireCurvature(problem);
        TapStatistics centred;
        if (!m_bias.inputMean.empty()) {
            centred = centredStatistics(*problem.statistics);
            problem.statistics = &centred;
        }
        const Rows rows = m_rows[index];
        Matrix<double> vectors(m_outputs.columns(), rows.count);
        for (std::size_t k = 0; k < vectors.rows(); ++k)
            for (std::size_t i = 0; i < rows.count; ++i)
                vectors(k, i) = m_outputs(rows.first + i, k);
        return projectionCurvature(device, problem, vectors, m_coordinates);
    }

    Factorisation factorize(std::size_t rank) const override
    {
        requireRank(m_shape, rank, false);
        Factorisation result{Matrix<double>(m_shape.rows, rank), Matrix<double>(rank, m_shape.columns)};
        for (std::size_t i = 0; i < m_shape.rows; ++i)
            std::copy_n(m_outputs.row(i), rank, result.B.row(i));
        std::copy_n(m_coordinates.data(), result.A.size(), result.A.data());
        m_bias.apply(result);
        return result;
    }

private:
    void sumLosses(const Device& device, const GroupProblem& group, const Objective& objective,
                   const std::vector<OutputMetric>& metrics, const ProjectionBasis& basis)
    {
        const std::size_t count = basis.vectors.rows();
        Matrix<double> missed(m_shape.rows, count); // F residual coordinates^T
        const bool anchored = !objective.residual.empty();
        if (anchored)
            device.gemm(Transpose::No, Transpose::Yes, 1.0,
                        inMetric(device, objective.residual, m_rows, metrics).view(), basis.coordinates.view(), 0.0,
                        missed.view());
        m_losses.assign(count + 1, 0.0);
        for (std::size_t b = 0; b < m_rows.size(); ++b) {
            const LinearProblem& problem = group.members[b].problem;
            const double scale = m_inNats ? natsOfEnergy(problem) : 1.0 / (metrics[b].scale * metrics[b].scale);
            std::vector<double> energies(count);
            for (std::size_t k = 0; k < count; ++k) {
                const double* own = basis.vectors.row(k) + m_rows[b].first;
                energies[k] = energyOf(basis, k, m_rows[b]);
                for (std::size_t i = 0; anchored && i < m_rows[b].count; ++i)
                    energies[k] += 2.0 * own[i] * missed(m_rows[b].first + i, k);
                energies[k] *= scale;
            }
            const double constant = anchored
                                        ? measureLoss(device, problem.W, part(objective.target, m_rows[b]),
                                                      objective.centred ? objective.centred.get() : problem.statistics)
                                        : 0.0;
            m_memberLosses.push_back(tailSums(energies, constant));
            for (std::size_t rank = 0; rank <= count; ++rank)
                m_losses[rank] += m_memberLosses.back()[rank];
        }
    }

    std::vector<Rows> m_rows;
    bool m_inNats;
    std::vector<double> m_losses;
    std::vector<std::vector<double>> m_memberLosses;
    Matrix<double> m_outputs;     ///< F^-1 U, sum of m x N
    Matrix<double> m_coordinates; ///< U^T F W, N x n
    BiasUpdate m_bias;
};

} // namespace

LinearProblem stackedProblem(const GroupProblem& group)
{
    const LinearProblem& first = group.members.front().problem;
    LinearProblem stack{.name = {}, .W = {}, .statistics = first.statistics};
    std::size_t rows = 0;
    bool biased = false;
    for (const GroupMember& member : group.members) {
        const LinearProblem& problem = member.problem;
        if (problem.statistics != first.statistics || problem.W.columns() != first.W.columns())
            throw Error(ErrorKind::Mismatch,
                        fmt::format("reads another input than {}: they cannot share latents", first.name),
                        {.file = {}, .tensor = problem.name});
        stack.name += (stack.name.empty() ? "" : " + ") + problem.name;
        rows += problem.W.rows();
        biased = biased || !problem.bias.empty();
    }
    stack.W = Matrix<double>(rows, first.W.columns());
    double* next = stack.W.data();
    for (const GroupMember& member : group.members) {
        const LinearProblem& problem = member.problem;
        next = std::copy_n(problem.W.data(), problem.W.size(), next);
        if (biased)
            stack.bias.insert(stack.bias.end(), problem.bias.begin(), problem.bias.end());
        if (biased && problem.bias.empty())
            stack.bias.resize(stack.bias.size() + problem.W.rows());
    }
    return stack;
}

std::unique_ptr<SharedAnalysis> shareLatents(const Device& device, const GroupProblem& group, Objective objective,
                                             const std::vector<OutputMetric>& metrics)
{
    return std::make_unique<SharedLatents>(device, group, std::move(objective), metrics);
}

} // namespace rankwright
