#include "core/decomposition/joint_attention.h"

#include "core/base/error.h"
#include "core/compute/elementwise.h"
#include "core/decomposition/head_pairs.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <functional>

namespace rankwright {

namespace {

/// One side truncated while the other is whole.
class SideAnalysis final : public Analysis
{
public:
    SideAnalysis(LinearShape shape, const SideModes& modes, std::vector<NumericEvent> events,
                 std::function<Factorisation(std::size_t)> factors)
        : m_losses(tailSums(modes.energies, 0.0))
        , m_factors(std::move(factors))
    {
        m_shape = shape;
        m_totalEnergy = m_losses.front();
        m_losses.resize(shape.fullRank() + 1);
        for (const double energy : modes.energies)
            m_singularValues.push_back(std::sqrt(std::max(energy, 0.0)));
        std::sort(m_singularValues.begin(), m_singularValues.end(), std::greater<>());
        m_singularValues.resize(shape.fullRank());
        m_events = std::move(events);
    }

    double loss(std::size_t rank) const override
    {
        requireRank(m_shape, rank, true);
        return m_losses[rank];
    }
    std::vector<double> lossAtEveryRank() const override { return m_losses; }
    Factorisation factorize(std::size_t rank) const override
    {
        requireRank(m_shape, rank, false);
        return m_factors(rank);
    }

private:
    std::vector<double> m_losses;
    std::function<Factorisation(std::size_t)> m_factors;
};

/// Adds `values` as a last column, or nothing where `wanted` is false.
Matrix<double> withColumn(const Matrix<double>& W, std::span<const float> values, bool wanted)
{
    if (!wanted)
        return W;
    Matrix<double> result(W.rows(), W.columns() + 1);
    for (std::size_t i = 0; i < W.rows(); ++i) {
        std::copy_n(W.row(i), W.columns(), result.row(i));
        result(i, W.columns()) = values.empty() ? 0.0 : static_cast<double>(values[i]);
    }
    return result;
}

/// Second moment of the input with a constant 1 after it.
std::shared_ptr<const Matrix<double>> augmentedMoment(const TapStatistics& statistics)
{
    const std::size_t n = statistics.secondMoment.rows();
    Matrix<double> result(n + 1, n + 1);
    for (std::size_t i = 0; i < n; ++i) {
        std::copy_n(statistics.secondMoment.row(i), n, result.row(i));
        result(i, n) = result(n, i) = statistics.sum[i];
    }
    result(n, n) = static_cast<double>(statistics.tokens);
    return std::make_shared<const Matrix<double>>(std::move(result));
}

/// C - sum sum^T / tokens.
std::shared_ptr<const Matrix<double>> centredMoment(const TapStatistics& statistics)
{
    Matrix<double> result = statistics.secondMoment;
    const auto tokens = static_cast<double>(std::max<std::size_t>(statistics.tokens, 1));
    for (std::size_t i = 0; i < result.rows(); ++i)
        for (std::size_t j = 0; j < result.columns(); ++j)
            result(i, j) -= statistics.sum[i] * statistics.sum[j] / tokens;
    return std::make_shared<const Matrix<double>>(std::move(result));
}

/// The same product with orthonormal columns in B: rounding the factors then changes their product least.
Factorisation balanced(const Device& device, const SideFactors& factors)
{
    QrFactors qr = device.qr(factors.B);
    Factorisation result{std::move(qr.Q), Matrix<double>(factors.A.rows(), factors.A.columns())};
    device.gemm(Transpose::No, Transpose::No, 1.0, qr.R.view(), factors.A.view(), 0.0, result.A.view());
    return result;
}

/// Takes the last column of A out as the bias B a.
void splitBias(Factorisation& factorisation)
{
    const Matrix<double> augmented = std::move(factorisation.A);
    const std::size_t n = augmented.columns() - 1;
    factorisation.A = Matrix<double>(augmented.rows(), n);
    factorisation.bias.assign(factorisation.B.rows(), 0.0);
    for (std::size_t k = 0; k < augmented.rows(); ++k) {
        std::copy_n(augmented.row(k), n, factorisation.A.row(k));
        for (std::size_t i = 0; i < factorisation.B.rows(); ++i)
            factorisation.bias[i] += factorisation.B(i, k) * augmented(k, n);
    }
}

void requireHeads(const LinearProblem& problem, std::size_t size, std::size_t heads, std::size_t headWidth)
{
    if (size != heads * headWidth)
        throw Error(ErrorKind::Mismatch,
                    fmt::format("{} head coordinates are no {} heads of {}", size, heads, headWidth),
                    {.file = {}, .tensor = problem.name});
}

void requireMeans(const LinearProblem& problem)
{
    if (problem.statistics->sum.size() != problem.W.columns() || problem.statistics->tokens == 0 ||
        !allFinite(std::span<const double>(problem.statistics->sum)))
        throw Error(ErrorKind::Mismatch,
                    fmt::format("statistics hold {} sums of {} tokens for {} input channels",
                                problem.statistics->sum.size(), problem.statistics->tokens, problem.W.columns()),
                    {.file = {}, .tensor = problem.name});
}

class QueryKeyAnalysis final : public GroupAnalysis
{
public:
    QueryKeyAnalysis(const Device& device, const Method& method, const GroupProblem& problem,
                     const JointOptions& options)
        : m_device(device)
        , m_sweeps(options.sweeps)
        , m_keyBias(problem.members.at(1).problem.bias)
        , m_rotary(!problem.attention.frequencies.empty())
    {
        const LinearProblem& q = problem.members.at(0).problem;
        const LinearProblem& k = problem.members.at(1).problem;
        const AttentionGeometry& attention = problem.attention;
        Objective queries = makeObjective(device, method, q, {});
        Objective keys = makeObjective(device, method, k, {});
        requireHeads(q, q.W.rows(), attention.heads, attention.headWidth);
        requireHeads(k, k.W.rows(), attention.keyValueHeads, attention.headWidth);
        requireMeans(q);
        requireMeans(k);
        m_augmentedQuery = !q.bias.empty();
        m_augmentedKey = m_rotary && !k.bias.empty();

        const TapStatistics& statistics = *q.statistics;
        const auto plain = std::make_shared<const Matrix<double>>(statistics.secondMoment);
        const auto augmented = m_augmentedQuery || m_augmentedKey ? augmentedMoment(statistics) : nullptr;
        HeadPairs pairs{.left = {withColumn(q.W, q.bias, m_augmentedQuery), m_augmentedQuery ? augmented : plain,
                                 queries.rankBound + (m_augmentedQuery ? 1 : 0)},
                        .right = {withColumn(k.W, k.bias, m_augmentedKey), m_augmentedKey ? augmented : plain,
                                  keys.rankBound + (m_augmentedKey ? 1 : 0)},
                        .headWidth = attention.headWidth,
                        .rotations = {}};
        if (m_rotary) {
            const std::size_t reach = std::max<std::size_t>(attention.context, 1) - 1;
            pairs.rotations = headRotations(
                attention.frequencies, logSpacedDistances(options.distances, std::min(options.largestDistance, reach)));
        } else {
            pairs.right.metric = centredMoment(statistics);
        }
        m_solver.emplace(device, std::move(pairs));
        m_query.emplace(LinearShape{q.W.rows(), q.W.columns()}, m_solver->leftModes(), std::move(queries.events),
                        [this](std::size_t rank) { return query(m_solver->leftAlone(rank)); });
        m_key.emplace(LinearShape{k.W.rows(), k.W.columns()}, m_solver->rightModes(), std::move(keys.events),
                      [this](std::size_t rank) { return key(m_solver->rightAlone(rank)); });
    }

    const Analysis& member(std::size_t index) const override { return index == 0 ? *m_query : *m_key; }

    std::vector<std::optional<Factorisation>>
    factorize(std::span<const std::optional<std::size_t>> ranks) const override
    {
        std::vector<std::optional<Factorisation>> result(2);
        if (ranks[0] && ranks[1]) {
            requireRank(m_query->shape(), *ranks[0], false);
            requireRank(m_key->shape(), *ranks[1], false);
            const auto [left, right] = m_solver->both(*ranks[0], *ranks[1], m_sweeps);
            result[0] = query(left);
            result[1] = key(right);
        } else if (ranks[0]) {
            result[0] = m_query->factorize(*ranks[0]);
        } else if (ranks[1]) {
            result[1] = m_key->factorize(*ranks[1]);
        }
        return result;
    }

    std::vector<double> losses(std::span<const std::optional<Replacement>> replacements) const override
    {
        std::optional<Matrix<double>> q;
        std::optional<Matrix<double>> k;
        if (replacements[0])
            q = withColumn(replacements[0]->W, replacements[0]->bias, m_augmentedQuery);
        if (replacements[1])
            k = withColumn(replacements[1]->W, replacements[1]->bias, m_augmentedKey);
        const PairLoss loss = m_solver->loss(q ? &*q : nullptr, k ? &*k : nullptr);
        return {loss.left, loss.right};
    }

private:
    Factorisation query(const SideFactors& factors) const
    {
        Factorisation result = balanced(m_device, factors);
        if (m_augmentedQuery)
            splitBias(result);
        return result;
    }

    Factorisation key(const SideFactors& factors) const
    {
        Factorisation result = balanced(m_device, factors);
        if (m_augmentedKey)
            splitBias(result);
        else if (!m_keyBias.empty())
            result.bias.assign(m_keyBias.size(), 0.0);
        return result;
    }

    const Device& m_device;
    std::size_t m_sweeps;
    std::vector<float> m_keyBias;
    bool m_rotary;
    bool m_augmentedQuery = false;
    bool m_augmentedKey = false;
    std::optional<HeadPairSolver> m_solver;
    std::optional<SideAnalysis> m_query;
    std::optional<SideAnalysis> m_key;
};

class ValueOutputAnalysis final : public GroupAnalysis
{
public:
    ValueOutputAnalysis(const Device& device, const Method& method, const GroupProblem& problem,
                        const JointOptions& options)
        : m_device(device)
        , m_sweeps(options.sweeps)
        , m_headWidth(problem.attention.headWidth)
        , m_sharing(problem.attention.heads / problem.attention.keyValueHeads)
        , m_valueBias(problem.members.at(0).problem.bias)
        , m_outputBias(problem.members.at(1).problem.bias)
    {
        const LinearProblem& v = problem.members.at(0).problem;
        const LinearProblem& o = problem.members.at(1).problem;
        Objective values = makeObjective(device, method, v, {});
        requireHeads(v, v.W.rows(), problem.attention.keyValueHeads, m_headWidth);
        requireHeads(o, o.W.columns(), problem.attention.heads, m_headWidth);
        if (!allFinite(o.W.span()))
            throw Error(ErrorKind::NonFinite, "weights have values that are not finite: the checkpoint is damaged",
                        {.file = {}, .tensor = o.name});
        auto metric = std::make_shared<const Matrix<double>>(v.statistics->secondMoment);
        if (options.biasUpdate) {
            requireMeans(v);
            metric = centredMoment(*v.statistics);
            for (const double sum : v.statistics->sum)
                m_mean.push_back(sum / static_cast<double>(v.statistics->tokens));
        }
        m_solver.emplace(device, HeadPairs{.left = {transposed(o.W), nullptr, o.W.rows()},
                                           .right = {v.W, std::move(metric), values.rankBound},
                                           .headWidth = m_headWidth,
                                           .rotations = {}});
        m_value.emplace(LinearShape{v.W.rows(), v.W.columns()}, m_solver->rightModes(), std::move(values.events),
                        [this](std::size_t rank) { return *pair(m_solver->rightAlone(rank), {}).front(); });
        m_output.emplace(LinearShape{o.W.rows(), o.W.columns()}, m_solver->leftModes(), std::vector<NumericEvent>(),
                         [this](std::size_t rank) { return *pair({}, m_solver->leftAlone(rank)).back(); });
    }

    const Analysis& member(std::size_t index) const override { return index == 0 ? *m_value : *m_output; }

    std::vector<std::optional<Factorisation>>
    factorize(std::span<const std::optional<std::size_t>> ranks) const override
    {
        if (ranks[0] && ranks[1]) {
            requireRank(m_value->shape(), *ranks[0], false);
            requireRank(m_output->shape(), *ranks[1], false);
            const auto [left, right] = m_solver->both(*ranks[1], *ranks[0], m_sweeps);
            return pair(right, left);
        }
        std::vector<std::optional<Factorisation>> result(2);
        if (ranks[0])
            result[0] = m_value->factorize(*ranks[0]);
        if (ranks[1])
            result[1] = m_output->factorize(*ranks[1]);
        return result;
    }

    std::vector<double> losses(std::span<const std::optional<Replacement>> replacements) const override
    {
        std::optional<Matrix<double>> o;
        if (replacements[1])
            o = transposed(replacements[1]->W);
        const PairLoss loss = m_solver->loss(o ? &*o : nullptr, replacements[0] ? &replacements[0]->W : nullptr);
        return {loss.right, loss.left};
    }

private:
    /// W_v (or its replacement B A) of the mean input, and the value bias where it is to be counted; by query head.
    std::vector<double> meanValue(const Factorisation* value, bool bias) const
    {
        const Matrix<double>& W = m_solver->pairs().right.W;
        std::vector<double> byGroup(W.rows(), 0.0);
        if (bias && !m_valueBias.empty())
            std::copy(m_valueBias.begin(), m_valueBias.end(), byGroup.begin());
        if (!m_mean.empty()) {
            const std::vector<double> product = value ? times(value->B, times(value->A, m_mean)) : times(W, m_mean);
            for (std::size_t i = 0; i < byGroup.size(); ++i)
                byGroup[i] += product[i];
        }
        std::vector<double> byHead;
        for (std::size_t head = 0; head < byGroup.size() / m_headWidth * m_sharing; ++head) {
            const auto first = byGroup.begin() + static_cast<std::ptrdiff_t>(head / m_sharing * m_headWidth);
            byHead.insert(byHead.end(), first, first + static_cast<std::ptrdiff_t>(m_headWidth));
        }
        return byHead;
    }

    static std::vector<double> times(const Matrix<double>& M, const std::vector<double>& x)
    {
        std::vector<double> result(M.rows(), 0.0);
        for (std::size_t i = 0; i < M.rows(); ++i)
            for (std::size_t j = 0; j < M.columns(); ++j)
                result[i] += M(i, j) * x[j];
        return result;
    }

    /// Factors of v and o with their biases; without A a side stays whole.
    std::vector<std::optional<Factorisation>> pair(const SideFactors& value, const SideFactors& output) const
    {
        std::vector<std::optional<Factorisation>> result(2);
        std::optional<Factorisation>& v = result.front();
        std::optional<Factorisation>& o = result.back();
        if (!value.A.empty())
            v = balanced(m_device, value);
        if (!output.A.empty()) {
            Factorisation swapped = balanced(m_device, {transposed(output.A), transposed(output.B)});
            o = std::move(swapped);
        }
        const bool constant = !m_valueBias.empty() || !m_mean.empty();
        if (!constant)
            return result;
        if (o) {
            // The part of the output that no input changes: as it was, less what the new linears make of it.
            const bool folded = v.has_value();
            if (folded && !m_valueBias.empty())
                v->bias.assign(m_valueBias.size(), 0.0);
            const std::vector<double> before = times(transposed(m_solver->pairs().left.W), meanValue(nullptr, true));
            const std::vector<double> after = times(o->B, times(o->A, meanValue(v ? &*v : nullptr, !folded)));
            o->bias.assign(before.size(), 0.0);
            for (std::size_t i = 0; i < before.size(); ++i)
                o->bias[i] = (m_outputBias.empty() ? 0.0 : static_cast<double>(m_outputBias[i])) + before[i] - after[i];
        } else if (v && !m_mean.empty()) {
            const std::vector<double> before = times(m_solver->pairs().right.W, m_mean);
            const std::vector<double> after = times(v->B, times(v->A, m_mean));
            v->bias.assign(before.size(), 0.0);
            for (std::size_t i = 0; i < before.size(); ++i)
                v->bias[i] = (m_valueBias.empty() ? 0.0 : static_cast<double>(m_valueBias[i])) + before[i] - after[i];
        }
        return result;
    }

    const Device& m_device;
    std::size_t m_sweeps;
    std::size_t m_headWidth;
    std::size_t m_sharing;
    std::vector<float> m_valueBias;
    std::vector<float> m_outputBias;
    std::vector<double> m_mean; ///< of v's input; empty where the means are left alone
    std::optional<HeadPairSolver> m_solver;
    std::optional<SideAnalysis> m_value;
    std::optional<SideAnalysis> m_output;
};

} // namespace

std::unique_ptr<GroupAnalysis> jointQueryKey(const Device& device, const Method& method, const GroupProblem& problem,
                                             const JointOptions& options)
{
    method.checkAttention(problem.attention);
    return std::make_unique<QueryKeyAnalysis>(device, method, problem, options);
}

std::unique_ptr<GroupAnalysis> jointValueOutput(const Device& device, const Method& method, const GroupProblem& problem,
                                                const JointOptions& options)
{
    return std::make_unique<ValueOutputAnalysis>(device, method, problem, options);
}

} // namespace rankwright
