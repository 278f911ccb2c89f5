#include "core/base/error.h"
#include "core/compute/elementwise.h"
#include "core/decomposition/head_pairs.h"
#include "core/decomposition/joint_attention.h"
#include "core/decomposition/method_list.h"
#include "reference.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace rankwright;
using namespace reference;

namespace {

constexpr std::size_t kHeads = 4;
constexpr std::size_t kGroups = 2;
constexpr std::size_t kWidth = 6;
constexpr std::size_t kChannels = 20;
constexpr std::size_t kTokens = 60;

const Device& cpu()
{
    static const auto device = makeCpuDevice(1);
    return *device;
}

std::vector<double> frequencies()
{
    std::vector<double> result;
    for (std::size_t j = 0; j < kWidth / 2; ++j)
        result.push_back(std::pow(100.0, -2.0 * static_cast<double>(j) / static_cast<double>(kWidth)));
    return result;
}

/// One head turned by the angles of a position: (a, b) -> (a cos - b sin, b cos + a sin).
std::vector<double> turnedHead(const double* head, double position, const std::vector<double>& perPosition)
{
    std::vector<double> result(kWidth);
    const std::size_t half = kWidth / 2;
    for (std::size_t j = 0; j < half; ++j) {
        const double angle = position * perPosition[j];
        result[j] = head[j] * std::cos(angle) - head[j + half] * std::sin(angle);
        result[j + half] = head[j + half] * std::cos(angle) + head[j] * std::sin(angle);
    }
    return result;
}

/// Outputs of a linear with bias, tokens x rows.
Matrix<double> outputs(const Matrix<double>& W, const std::vector<float>& bias, const Matrix<double>& X)
{
    Matrix<double> Y = transposed(product(W, X));
    for (std::size_t t = 0; t < Y.rows() && !bias.empty(); ++t)
        for (std::size_t i = 0; i < Y.columns(); ++i)
            Y(t, i) += static_cast<double>(bias[i]);
    return Y;
}

/// Logit of query token s (standing `distance` after the key) and key token t in head i, by the definition.
double logit(const Matrix<double>& Q, const Matrix<double>& K, std::size_t s, std::size_t t, std::size_t i,
             double distance, const std::vector<double>& perPosition)
{
    const std::size_t group = i * (K.columns() / kWidth) / (Q.columns() / kWidth);
    const double* q = Q.row(s) + i * kWidth;
    const double* k = K.row(t) + group * kWidth;
    if (perPosition.empty())
        return std::inner_product(q, q + kWidth, k, 0.0);
    const std::vector<double> turned = turnedHead(q, distance, perPosition);
    return std::inner_product(turned.begin(), turned.end(), k, 0.0);
}

/// Mean over distances of the squared differences of all logits of all pairs of tokens; `centred`: less the mean over
/// the keys, which softmax ignores.
double logitError(const Matrix<double>& Q, const Matrix<double>& K, const Matrix<double>& Qh, const Matrix<double>& Kh,
                  const std::vector<std::size_t>& distances, const std::vector<double>& perPosition, bool centred)
{
    double sum = 0.0;
    for (const std::size_t distance : distances)
        for (std::size_t i = 0; i < Q.columns() / kWidth; ++i)
            for (std::size_t s = 0; s < Q.rows(); ++s) {
                std::vector<double> row;
                for (std::size_t t = 0; t < K.rows(); ++t)
                    row.push_back(logit(Q, K, s, t, i, static_cast<double>(distance), perPosition) -
                                  logit(Qh, Kh, s, t, i, static_cast<double>(distance), perPosition));
                const double mean =
                    centred ? std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size()) : 0.0;
                for (const double value : row)
                    sum += (value - mean) * (value - mean) / static_cast<double>(distances.size());
            }
    return sum;
}

struct Case
{
    Matrix<double> X = correlatedInputs(kChannels, kTokens, 1);
    TapStatistics statistics;
    GroupProblem problem;
    std::vector<std::size_t> distances{0};

    explicit Case(bool rotary, bool biases, std::size_t groups = kGroups)
    {
        for (std::size_t j = 0; j < kChannels; ++j) // inputs with an offset, as after a norm with a bias
            for (std::size_t t = 0; t < kTokens; ++t)
                X(j, t) += 0.3 * static_cast<double>(j % 3);
        statistics = statisticsOf(X);
        problem.attention = {.heads = kHeads,
                             .keyValueHeads = groups,
                             .headWidth = kWidth,
                             .frequencies = rotary ? frequencies() : std::vector<double>(),
                             .context = 64,
                             .queryKeyNorm = false};
        add(Role::Q, randomWeights(kHeads * kWidth, kChannels, 10), biases, 20);
        add(Role::K, randomWeights(groups * kWidth, kChannels, 11), biases, 21);
        if (rotary)
            distances = logSpacedDistances(16, 63);
    }
    void add(Role role, Matrix<double> W, bool bias, unsigned seed)
    {
        LinearProblem linear{.name = "l", .W = std::move(W), .statistics = nullptr, .bias = {}};
        const Matrix<double> values = randomMatrix(linear.W.rows(), 1, seed);
        for (std::size_t i = 0; i < values.rows() && bias; ++i)
            linear.bias.push_back(static_cast<float>(0.4 * values(i, 0)));
        problem.members.push_back({role, std::move(linear)});
    }
    const GroupProblem& withStatistics()
    {
        for (GroupMember& member : problem.members)
            if (member.role != Role::O)
                member.problem.statistics = &statistics;
        return problem;
    }
    const LinearProblem& q() const { return problem.members[0].problem; }
    const LinearProblem& k() const { return problem.members[1].problem; }
};

Replacement replacementOf(const Factorisation& factorisation, const std::vector<float>& bias)
{
    Replacement result{product(factorisation.B, factorisation.A), bias};
    if (!factorisation.bias.empty())
        result.bias.assign(factorisation.bias.begin(), factorisation.bias.end());
    return result;
}

std::vector<std::optional<Replacement>> replacements(const GroupProblem& problem,
                                                     const std::vector<std::optional<Factorisation>>& factors)
{
    std::vector<std::optional<Replacement>> result;
    for (std::size_t i = 0; i < factors.size(); ++i)
        result.push_back(factors[i] ? std::optional(replacementOf(*factors[i], problem.members[i].problem.bias))
                                    : std::nullopt);
    return result;
}

double sum(const std::vector<double>& values)
{
    return std::accumulate(values.begin(), values.end(), 0.0);
}

bool close(double a, double b, double relative, double scale)
{
    return std::abs(a - b) <= relative * std::max({std::abs(a), std::abs(b)}) + 1e-12 * scale;
}

#define COMPARE_LOSS(a, b, relative, scale)                                                                            \
    QVERIFY2(close(a, b, relative, scale),                                                                             \
             qPrintable(QStringLiteral("%1 and %2").arg(a, 0, 'g', 15).arg(b, 0, 'g', 15)))

/// Squared error of the output paths of heads under every input, by loops.
double pathError(const Matrix<double>& V, const Matrix<double>& O, const Matrix<double>& Vh, const Matrix<double>& Oh,
                 const Matrix<double>& X)
{
    const Matrix<double> values = product(V, X);
    const Matrix<double> others = product(Vh, X);
    double error = 0.0;
    for (std::size_t i = 0; i < O.columns() / kWidth; ++i) {
        const std::size_t group = i * (V.rows() / kWidth) / (O.columns() / kWidth);
        for (std::size_t row = 0; row < O.rows(); ++row)
            for (std::size_t t = 0; t < X.columns(); ++t) {
                double difference = 0.0;
                for (std::size_t a = 0; a < kWidth; ++a)
                    difference += O(row, i * kWidth + a) * values(group * kWidth + a, t) -
                                  Oh(row, i * kWidth + a) * others(group * kWidth + a, t);
                error += difference * difference;
            }
    }
    return error;
}

struct ValueCase : Case
{
    explicit ValueCase(bool biases, std::size_t groups = kGroups)
        : Case(false, false, groups)
    {
        problem.members.clear();
        add(Role::V, randomWeights(groups * kWidth, kChannels, 30), biases, 31);
        add(Role::O, randomWeights(16, kHeads * kWidth, 32), biases, 33);
    }
};

} // namespace

class TestJointAttention : public QObject
{
    Q_OBJECT

private slots:
    void predictedLossIsTheErrorOfAllLogits_data()
    {
        QTest::addColumn<bool>("rotary");
        QTest::addColumn<bool>("biases");
        QTest::newRow("learned positions") << false << false;
        QTest::newRow("learned positions, biases") << false << true;
        QTest::newRow("rotary") << true << false;
        QTest::newRow("rotary, biases") << true << true;
    }
    void predictedLossIsTheErrorOfAllLogits()
    {
        QFETCH(bool, rotary);
        QFETCH(bool, biases);
        Case data(rotary, biases);
        const auto analysis = jointQueryKey(cpu(), jointQk(), data.withStatistics(), {.largestDistance = 63});
        const Matrix<double> Q = outputs(data.q().W, data.q().bias, data.X);
        const Matrix<double> K = outputs(data.k().W, data.k().bias, data.X);
        const std::vector<double> perPosition = data.problem.attention.frequencies;
        const double total = analysis->member(0).totalEnergy();
        QVERIFY(close(total, analysis->member(1).totalEnergy(), 1e-10, total));
        // Without rotation what keys have in common is no part of the energy.
        const Matrix<double> nothing(kTokens, K.columns());
        COMPARE_LOSS(total, logitError(Q, K, Q, nothing, data.distances, perPosition, !rotary), 1e-10, total);

        for (const auto& [r, s] : {std::pair<std::size_t, std::size_t>{5, 4}, {1, 1}, {12, 3}, {2, 9}}) {
            const std::vector<std::optional<std::size_t>> ranks{r, s};
            const auto factors = analysis->factorize(ranks);
            const auto replaced = replacements(data.problem, factors);
            QCOMPARE(factors[0]->A.rows(), r);
            QCOMPARE(factors[1]->A.rows(), s);
            const double predicted = sum(analysis->losses(replaced));
            const double measured =
                logitError(Q, K, outputs(replaced[0]->W, replaced[0]->bias, data.X),
                           outputs(replaced[1]->W, replaced[1]->bias, data.X), data.distances, perPosition, !rotary);
            // A replacement's bias is rounded to float32.
            COMPARE_LOSS(predicted, measured, biases ? 1e-6 : 1e-10, total);
            QVERIFY(predicted <= analysis->member(0).loss(r) + analysis->member(1).loss(s) + 1e-10 * total);
        }
        for (const std::size_t rank : {std::size_t{3}, std::size_t{7}}) {
            for (std::size_t member = 0; member < 2; ++member) {
                std::vector<std::optional<std::size_t>> ranks(2);
                ranks[member] = rank;
                const auto replaced = replacements(data.problem, analysis->factorize(ranks));
                COMPARE_LOSS(analysis->member(member).loss(rank), sum(analysis->losses(replaced)), biases ? 1e-6 : 1e-9,
                             total);
            }
        }
    }

    void energyIsWhatTheCoreKeepsPlusTheLoss()
    {
        Case data(true, false);
        const auto rotations = headRotations(frequencies(), data.distances);
        const auto metric = std::make_shared<const Matrix<double>>(data.statistics.secondMoment);
        const HeadPairSolver solver(cpu(), {.left = {data.q().W, metric, kChannels},
                                            .right = {data.k().W, metric, kChannels},
                                            .headWidth = kWidth,
                                            .rotations = rotations});
        const auto [left, right] = solver.both(7, 5, 3);
        const Matrix<double> Q = product(left.B, left.A);
        const Matrix<double> K = product(right.B, right.A);
        const PairLoss loss = solver.loss(&Q, &K);
        // Latents have the second moment I, so that the core Bq_i^T Theta Bk_j has the energy that is kept.
        const Matrix<double> moment = product(product(left.A, *metric), transposed(left.A));
        for (std::size_t i = 0; i < 7; ++i)
            for (std::size_t j = 0; j < 7; ++j)
                QVERIFY(std::abs(moment(i, j) - (i == j ? 1.0 : 0.0)) < 1e-9);
        double core = 0.0;
        for (const std::size_t distance : data.distances)
            for (std::size_t i = 0; i < kHeads; ++i)
                for (std::size_t a = 0; a < 7; ++a)
                    for (std::size_t b = 0; b < 5; ++b) {
                        std::vector<double> q(kWidth);
                        double value = 0.0;
                        for (std::size_t c = 0; c < kWidth; ++c)
                            q[c] = left.B(i * kWidth + c, a);
                        const auto turned = turnedHead(q.data(), static_cast<double>(distance), frequencies());
                        for (std::size_t c = 0; c < kWidth; ++c)
                            value += turned[c] * right.B(i / 2 * kWidth + c, b);
                        core += value * value / static_cast<double>(data.distances.size());
                    }
        const double total = sum(solver.leftModes().energies);
        COMPARE_LOSS(total - core, loss.left + loss.right, 1e-9, total);
    }

    void fullRankIsExact()
    {
        for (const bool rotary : {false, true}) {
            Case data(rotary, true);
            const auto analysis = jointQueryKey(cpu(), jointQk(), data.withStatistics(), {});
            const std::vector<std::optional<std::size_t>> ranks{kChannels, kGroups * kWidth};
            const auto factors = analysis->factorize(ranks);
            const Matrix<double> K = product(factors[1]->B, factors[1]->A);
            QVERIFY(squaredNorm(difference(K, data.k().W)) < 1e-20 * squaredNorm(data.k().W));
            if (rotary)
                for (std::size_t i = 0; i < factors[1]->bias.size(); ++i)
                    QVERIFY(std::abs(factors[1]->bias[i] - static_cast<double>(data.k().bias[i])) < 1e-10);
            else
                QVERIFY(std::all_of(factors[1]->bias.begin(), factors[1]->bias.end(),
                                    [](double value) { return value == 0.0; }));
        }
    }

    void groupedQueriesAreHeadsWithRepeatedKeys()
    {
        Case data(true, false);
        Case repeated(true, false, kHeads);
        repeated.problem.members[0].problem.W = data.q().W;
        for (std::size_t i = 0; i < kHeads * kWidth; ++i) {
            const std::size_t row = i / kWidth / 2 * kWidth + i % kWidth;
            std::copy_n(data.k().W.row(row), kChannels, repeated.problem.members[1].problem.W.row(i));
        }
        const auto grouped = jointQueryKey(cpu(), jointQk(), data.withStatistics(), {});
        const auto whole = jointQueryKey(cpu(), jointQk(), repeated.withStatistics(), {});
        const std::vector<std::optional<std::size_t>> ranks{6, 5};
        const auto a = grouped->factorize(ranks);
        const auto b = whole->factorize(ranks);
        const double total = grouped->member(0).totalEnergy();
        COMPARE_LOSS(sum(grouped->losses(replacements(data.problem, a))),
                     sum(whole->losses(replacements(repeated.problem, b))), 1e-8, total);
        const Matrix<double> Ka = product(a[1]->B, a[1]->A);
        const Matrix<double> Kb = product(b[1]->B, b[1]->A);
        for (std::size_t i = 0; i < kHeads * kWidth; ++i)
            for (std::size_t j = 0; j < kChannels; ++j)
                QVERIFY(std::abs(Kb(i, j) - Ka(i / kWidth / 2 * kWidth + i % kWidth, j)) < 1e-7);
    }

    void distanceZeroIsNoRotation()
    {
        Case data(false, false);
        const auto metric = std::make_shared<const Matrix<double>>(data.statistics.secondMoment);
        const auto solve = [&](std::vector<HeadRotation> rotations) {
            const HeadPairSolver solver(cpu(), {.left = {data.q().W, metric, kChannels},
                                                .right = {data.k().W, metric, kChannels},
                                                .headWidth = kWidth,
                                                .rotations = std::move(rotations)});
            const auto [left, right] = solver.both(5, 6, 2);
            return std::pair(product(left.B, left.A), product(right.B, right.A));
        };
        const std::vector<std::size_t> zero{0};
        const auto a = solve({});
        const auto b = solve(headRotations(frequencies(), zero));
        QVERIFY(squaredNorm(difference(a.first, b.first)) < 1e-16 * squaredNorm(a.first));
        QVERIFY(squaredNorm(difference(a.second, b.second)) < 1e-16 * squaredNorm(a.second));
    }

    /// R(s) q . R(t) k, turned by the kernel of the forward pass, is q^T Theta_{s - t} k wherever both stand.
    void rotationsAreThoseOfTheForwardPass()
    {
        const std::vector<double> perPosition = frequencies();
        const Matrix<double> heads = randomMatrix(2, kWidth, 5);
        for (const std::size_t distance : {0, 1, 7, 40}) {
            const std::vector<std::size_t> one{distance};
            const HeadRotation rotation = headRotations(perPosition, one).front();
            double expected = 0.0;
            for (std::size_t j = 0; j < kWidth / 2; ++j) {
                const double a = heads(1, j);
                const double b = heads(1, j + kWidth / 2);
                expected += heads(0, j) * (rotation.cosines[j] * a + rotation.sines[j] * b) +
                            heads(0, j + kWidth / 2) * (rotation.cosines[j] * b - rotation.sines[j] * a);
            }
            for (const std::size_t key : {0, 3, 100}) {
                std::vector<std::vector<float>> turned;
                for (std::size_t side = 0; side < 2; ++side) {
                    std::vector<float> head(heads.row(side), heads.row(side) + kWidth);
                    std::vector<float> cosines;
                    std::vector<float> sines;
                    for (const double frequency : perPosition) {
                        const double angle = frequency * static_cast<double>(side == 0 ? key + distance : key);
                        cosines.push_back(static_cast<float>(std::cos(angle)));
                        sines.push_back(static_cast<float>(std::sin(angle)));
                    }
                    rotateHalves(head, cosines, sines);
                    turned.push_back(std::move(head));
                }
                const auto found = static_cast<double>(
                    std::inner_product(turned[0].begin(), turned[0].end(), turned[1].begin(), 0.0F));
                QVERIFY(std::abs(found - expected) < 1e-5); // float32 heads of unit size
            }
        }
    }

    void jointIsBelowSeparateAndAveragedBelowUnrotated()
    {
        Case data(true, false);
        const std::vector<std::optional<std::size_t>> ranks{8, 6};
        const auto joint = jointQueryKey(cpu(), jointQk(), data.withStatistics(), {.largestDistance = 63});
        const double averaged = sum(joint->losses(replacements(data.problem, joint->factorize(ranks))));
        std::vector<std::optional<Factorisation>> separate;
        for (std::size_t i = 0; i < 2; ++i)
            separate.emplace_back(
                whitenedSvd().analyze(cpu(), data.problem.members[i].problem, {})->factorize(*ranks[i]));
        QVERIFY(averaged < sum(joint->losses(replacements(data.problem, separate))));

        // The form without rotation, judged by the logits of a rotary model at every distance.
        const auto metric = std::make_shared<const Matrix<double>>(data.statistics.secondMoment);
        const HeadPairSolver unrotated(cpu(), {.left = {data.q().W, metric, kChannels},
                                               .right = {data.k().W, metric, kChannels},
                                               .headWidth = kWidth,
                                               .rotations = {}});
        const auto [left, right] = unrotated.both(8, 6, 4);
        const auto factors = joint->factorize(ranks);
        std::vector<std::size_t> every(64);
        std::iota(every.begin(), every.end(), 0);
        const auto errorOf = [&](const Matrix<double>& Qh, const Matrix<double>& Kh) {
            return logitError(outputs(data.q().W, {}, data.X), outputs(data.k().W, {}, data.X), outputs(Qh, {}, data.X),
                              outputs(Kh, {}, data.X), every, frequencies(), false);
        };
        QVERIFY(errorOf(product(factors[0]->B, factors[0]->A), product(factors[1]->B, factors[1]->A)) <
                errorOf(product(left.B, left.A), product(right.B, right.A)));
    }

    /// Attention without rotation is the same with the key bias dropped: softmax ignores what all keys add.
    void keyBiasDropsOut()
    {
        Case data(false, true);
        const Matrix<double> Q = outputs(data.q().W, data.q().bias, data.X);
        const Matrix<double> K = outputs(data.k().W, data.k().bias, data.X);
        const auto analysis = jointQueryKey(cpu(), jointQk(), data.withStatistics(), {});
        const std::vector<std::optional<std::size_t>> ranks{std::nullopt, kGroups * kWidth};
        const auto factors = analysis->factorize(ranks);
        QVERIFY(!factors[0]);
        const Replacement key = replacementOf(*factors[1], data.k().bias);
        QVERIFY(std::all_of(key.bias.begin(), key.bias.end(), [](float value) { return value == 0.0F; }));
        const Matrix<double> other = outputs(key.W, key.bias, data.X);
        for (std::size_t i = 0; i < kHeads; ++i)
            for (std::size_t s = 0; s < kTokens; ++s) {
                std::vector<double> a;
                std::vector<double> b;
                for (std::size_t t = 0; t <= s; ++t) {
                    a.push_back(std::exp(logit(Q, K, s, t, i, 0.0, {})));
                    b.push_back(std::exp(logit(Q, other, s, t, i, 0.0, {})));
                }
                for (std::size_t t = 0; t <= s; ++t)
                    QVERIFY(std::abs(a[t] / sum(a) - b[t] / sum(b)) < 1e-9);
            }
    }

    /// (G^-T Bq, G Bk) are the same logits for any invertible G per key head.
    void gaugeOfAHeadIsFree()
    {
        Case data(false, false);
        const auto metric = std::make_shared<const Matrix<double>>(data.statistics.secondMoment);
        const HeadPairSolver solver(cpu(), {.left = {data.q().W, metric, kChannels},
                                            .right = {data.k().W, metric, kChannels},
                                            .headWidth = kWidth,
                                            .rotations = {}});
        Matrix<double> Q = data.q().W;
        Matrix<double> K = data.k().W;
        for (std::size_t group = 0; group < kGroups; ++group) {
            const Matrix<double> G = randomMatrix(kWidth, kWidth, 40 + static_cast<unsigned>(group));
            const auto apply = [&](const Matrix<double>& M, Matrix<double>& W, std::size_t head) {
                Matrix<double> rows(kWidth, kChannels);
                std::copy_n(W.row(head * kWidth), rows.size(), rows.data());
                const Matrix<double> turned = product(M, rows);
                std::copy_n(turned.data(), turned.size(), W.row(head * kWidth));
            };
            apply(G, K, group);
            for (std::size_t head = 2 * group; head < 2 * group + 2; ++head)
                apply(transposed(inverse(G)), Q, head);
        }
        const PairLoss loss = solver.loss(&Q, &K);
        const double total = sum(solver.leftModes().energies);
        QVERIFY(std::abs(loss.left + loss.right) < 1e-10 * total);
        QVERIFY(loss.right > 0.1 * total); // either change alone is a large one
    }

    void normedQueriesAreRefused()
    {
        Case data(true, false);
        data.problem.attention.queryKeyNorm = true;
        for (const Method* method : {&latentLlm(), &jointQk()}) {
            try {
                method->analyzeGroup(cpu(), data.withStatistics(), {});
                QFAIL("no error");
            } catch (const Error& error) {
                QCOMPARE(error.kind(), ErrorKind::Unsupported);
                QVERIFY(std::string(error.what()).find(method->name()) != std::string::npos);
            }
        }
        jointVo().checkAttention(data.problem.attention);
    }

    void pathsOfValuesAndOutputs_data()
    {
        QTest::addColumn<bool>("biases");
        QTest::addColumn<bool>("update");
        QTest::newRow("plain") << false << false;
        QTest::newRow("biases") << true << false;
        QTest::newRow("bias update") << false << true;
        QTest::newRow("biases, bias update") << true << true;
    }
    void pathsOfValuesAndOutputs()
    {
        QFETCH(bool, biases);
        QFETCH(bool, update);
        ValueCase data(biases);
        const auto analysis = jointValueOutput(cpu(), jointVo(), data.withStatistics(), {.biasUpdate = update});
        const LinearProblem& v = data.problem.members[0].problem;
        const LinearProblem& o = data.problem.members[1].problem;
        Matrix<double> X = data.X;
        for (std::size_t j = 0; j < kChannels && update; ++j)
            for (std::size_t t = 0; t < kTokens; ++t)
                X(j, t) -= data.statistics.sum[j] / static_cast<double>(kTokens);
        const double total = analysis->member(0).totalEnergy();
        COMPARE_LOSS(total, pathError(v.W, o.W, Matrix<double>(v.W.rows(), kChannels), o.W, X), 1e-10, total);
        for (const auto& [r, s] : {std::pair<std::size_t, std::size_t>{5, 9}, {1, 1}, {12, 4}}) {
            const std::vector<std::optional<std::size_t>> ranks{r, s};
            const auto replaced = replacements(data.problem, analysis->factorize(ranks));
            COMPARE_LOSS(sum(analysis->losses(replaced)), pathError(v.W, o.W, replaced[0]->W, replaced[1]->W, X), 1e-9,
                         total);
            std::vector<std::optional<Factorisation>> separate{whitenedSvd().analyze(cpu(), v, {})->factorize(r),
                                                               plainSvd().analyze(cpu(), o, {})->factorize(s)};
            QVERIFY(sum(analysis->losses(replaced)) <
                    sum(analysis->losses(replacements(data.problem, separate))) * (1.0 + 1e-9));
        }
    }

    /// At full rank the outputs of any attention are the same, biases folded.
    void valueBiasFoldsExactly()
    {
        for (const bool update : {false, true})
            for (const auto& ranks : std::vector<std::vector<std::optional<std::size_t>>>{
                     {12, 16}, {std::nullopt, 16}, {12, std::nullopt}}) {
                ValueCase data(true);
                const auto analysis = jointValueOutput(cpu(), jointVo(), data.withStatistics(), {.biasUpdate = update});
                const auto replaced = replacements(data.problem, analysis->factorize(ranks));
                const auto outputsOf = [&](bool after) {
                    const auto pick = [&](std::size_t i) {
                        const LinearProblem& linear = data.problem.members[i].problem;
                        return after && replaced[i] ? *replaced[i] : Replacement{linear.W, linear.bias};
                    };
                    const Replacement v = pick(0);
                    const Replacement o = pick(1);
                    const Matrix<double> values = outputs(v.W, v.bias, data.X);
                    // Every head of every token mixes the values with weights of its own that sum to 1.
                    Matrix<double> mixed(kHeads * kWidth, kTokens);
                    for (std::size_t s = 0; s < kTokens; ++s)
                        for (std::size_t i = 0; i < kHeads; ++i) {
                            double norm = 0.0;
                            for (std::size_t t = 0; t <= s; ++t)
                                norm += static_cast<double>(1 + (3 * t + i) % 5);
                            for (std::size_t t = 0; t <= s; ++t)
                                for (std::size_t a = 0; a < kWidth; ++a)
                                    mixed(i * kWidth + a, s) +=
                                        static_cast<double>(1 + (3 * t + i) % 5) / norm * values(t, i / 2 * kWidth + a);
                        }
                    return outputs(o.W, o.bias, mixed);
                };
                const Matrix<double> before = outputsOf(false);
                const double change = squaredNorm(difference(before, outputsOf(true)));
                QVERIFY(change < 1e-12 * squaredNorm(before)); // biases are float32
                if (ranks[0] && ranks[1])
                    QVERIFY(std::all_of(replaced[0]->bias.begin(), replaced[0]->bias.end(),
                                        [](float value) { return value == 0.0F; }));
            }
    }

    void hardStatistics_data()
    {
        QTest::addColumn<QString>("kind");
        for (const char* kind : {"few tokens", "dead channel", "massive channels"})
            QTest::newRow(kind) << QString::fromLatin1(kind);
    }
    /// Losses of the stored float32 factors are those predicted, full rank is W again, nothing is NaN.
    void hardStatistics()
    {
        QFETCH(QString, kind);
        for (const bool rotary : {false, true})
            for (const bool values : {false, true}) {
                Case data = values ? ValueCase(false) : Case(rotary, false);
                if (kind == u"few tokens") {
                    Matrix<double> few(kChannels, 5);
                    for (std::size_t j = 0; j < kChannels; ++j)
                        std::copy_n(data.X.row(j), 5, few.row(j));
                    data.X = few;
                } else if (kind == u"dead channel") {
                    std::fill_n(data.X.row(4), kTokens, 0.0);
                } else {
                    for (const std::size_t channel : {3, 11})
                        for (std::size_t t = 0; t < kTokens; ++t)
                            data.X(channel, t) *= 800.0;
                }
                data.statistics = statisticsOf(data.X);
                const GroupProblem& problem = data.withStatistics();
                const auto analysis = values ? jointValueOutput(cpu(), jointVo(), problem, {})
                                             : jointQueryKey(cpu(), jointQk(), problem, {});
                const double total = analysis->member(0).totalEnergy();
                QVERIFY(total > 0.0);
                double before = total;
                for (const std::size_t rank : {1, 3, 6, 12}) {
                    const std::vector<std::optional<std::size_t>> ranks{rank, rank};
                    const auto factors = analysis->factorize(ranks);
                    const double predicted = sum(analysis->losses(replacements(problem, factors)));
                    QVERIFY(predicted <= before * (1.0 + 1e-9) + 1e-12 * total);
                    before = predicted;
                    for (const StructureKind structure : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                        std::vector<std::optional<Replacement>> stored;
                        for (const auto& factorisation : factors)
                            stored.push_back(Replacement{
                                expandLinear(cpu(), storeFactorisation(cpu(), *factorisation, structure, DType::F32)),
                                {}});
                        const double measured = sum(analysis->losses(stored));
                        // Rounding to float32, eps = 2^-24, changes the loss by eps sqrt(loss total) times what the
                        // factors are worse conditioned than an orthonormal pair.
                        const double epsilon = 6e-8;
                        QVERIFY2(std::abs(measured - predicted) <
                                     30.0 * (epsilon * std::sqrt(predicted * total) + epsilon * epsilon * total),
                                 qPrintable(QStringLiteral("%1 %2 of %3").arg(predicted).arg(measured).arg(total)));
                    }
                }
                std::vector<std::optional<std::size_t>> full;
                for (const GroupMember& member : problem.members)
                    full.emplace_back(std::min(member.problem.W.rows(), member.problem.W.columns()));
                const auto factors = analysis->factorize(full);
                for (std::size_t i = 0; i < 2; ++i) {
                    const Matrix<double>& W = problem.members[i].problem.W;
                    const Matrix<double> product_ = product(factors[i]->B, factors[i]->A);
                    QVERIFY(squaredNorm(difference(product_, W)) < 1e-12 * squaredNorm(W));
                }
            }
    }

    void distancesAreLogSpaced()
    {
        const std::vector<std::size_t> distances = logSpacedDistances(8, 512);
        QCOMPARE(distances.size(), std::size_t{8});
        QCOMPARE(distances.front(), std::size_t{0});
        QCOMPARE(distances.back(), std::size_t{512});
        QVERIFY(std::adjacent_find(distances.begin(), distances.end(), std::greater_equal<>()) == distances.end());
        QCOMPARE(logSpacedDistances(8, 2), (std::vector<std::size_t>{0, 1, 2}));
        QCOMPARE(logSpacedDistances(8, 0), (std::vector<std::size_t>{0}));
    }
};

QTEST_GUILESS_MAIN(TestJointAttention)
#include "tst_joint_attention.moc"
