#include "core/base/error.h"
#include "core/decomposition/curvature.h"
#include "core/decomposition/group.h"
#include "reference.h"

#include <QTest>

#include <cmath>

using namespace rankwright;
using namespace reference;

namespace {

/// Rows of the second matrix under those of the first.
Matrix<double> under(const Matrix<double>& A, const Matrix<double>& B)
{
    Matrix<double> result(A.rows() + B.rows(), B.columns());
    std::copy_n(A.data(), A.size(), result.data());
    std::copy_n(B.data(), B.size(), result.data() + A.size());
    return result;
}

Matrix<double> rowsOf(const Matrix<double>& A, std::size_t first, std::size_t count)
{
    Matrix<double> result(count, A.columns());
    std::copy_n(A.row(first), result.size(), result.data());
    return result;
}

/// Grouped queries: 4 heads of 6 share 2 keys and values, whose sizes differ much.
struct Group
{
    Matrix<double> X;
    TapStatistics statistics;
    std::vector<Matrix<double>> gradients;
    std::vector<TapStatistics> outputs;
    GroupProblem problem;

    explicit Group(std::size_t tokens = 160, bool biased = false, std::size_t channels = 30)
        : X(shiftedInputs(channels, tokens, 2))
        , statistics(statisticsOf(X))
    {
        const std::vector<std::pair<Role, std::size_t>> members{{Role::Q, 24}, {Role::K, 12}, {Role::V, 12}};
        outputs.reserve(members.size());
        for (const auto& [role, rows] : members) {
            const auto index = static_cast<unsigned>(outputs.size());
            gradients.push_back(correlatedInputs(rows, 90, 20 + 2 * index));
            outputs.push_back(statisticsOf(gradients.back()));
            LinearProblem linear{.name = std::string(roleName(role)),
                                 .W = randomWeights(rows, channels, 10 + index),
                                 .statistics = &statistics,
                                 .gradients = &outputs.back()};
            for (double& value : linear.W.span())
                value = static_cast<double>(static_cast<float>(value * std::pow(0.2, index)));
            for (std::size_t i = 0; biased && i < rows; ++i)
                linear.bias.push_back(0.25F * static_cast<float>(i % 5));
            problem.members.push_back({role, std::move(linear)});
        }
    }

    const LinearProblem& linear(std::size_t member) const { return problem.members[member].problem; }
    /// F_b W_b of all members under one another.
    Matrix<double> stack(const std::vector<Matrix<double>>& metrics = {}) const
    {
        Matrix<double> result(0, X.rows());
        for (std::size_t b = 0; b < problem.members.size(); ++b)
            result = under(result, metrics.empty() ? linear(b).W : product(metrics[b], linear(b).W));
        return result;
    }
};

/// 1/2 (1 / T_g) (1 / T_x) sum over pairs of tokens of (g_s^T D x_t)^2.
double nats(const Matrix<double>& D, const Matrix<double>& X, const Matrix<double>& gradients)
{
    return 0.5 * squaredNorm(product(transposed(gradients), product(D, X))) / static_cast<double>(X.columns()) /
           static_cast<double>(gradients.columns());
}

Matrix<double> scaled(std::size_t size, double scale)
{
    Matrix<double> result(size, size);
    for (std::size_t i = 0; i < size; ++i)
        result(i, i) = scale;
    return result;
}

} // namespace

/// Linears of one input over one set of latents.
class TestJointLatents : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    std::unique_ptr<SharedAnalysis> analyze(std::string_view method, const Group& group,
                                            const MethodParameters& parameters = {}) const
    {
        return findMethod(method).analyzeShared(*m_device, group.problem, parameters);
    }

    /// Compares with SVD_r(F W R) R^-1 by LAPACK, and every member's loss with `lossOf(member, W_hat)`.
    void equalsTheStackedSvd(const SharedAnalysis& analysis, const Group& group,
                             const std::vector<Matrix<double>>& metrics, const Matrix<double>& moment,
                             const std::function<double(std::size_t, const Matrix<double>&)>& lossOf)
    {
        const Matrix<double> root = cholesky(moment);
        const Matrix<double> back = inverse(root);
        const Svd direct = svd(product(group.stack(metrics), root));
        const std::size_t full = analysis.shape().fullRank();
        QCOMPARE(analysis.shape(), (LinearShape{48, group.X.rows()}));
        for (std::size_t r = 0; r < full; ++r) {
            const Matrix<double> expected = product(direct.truncated(r), back);
            const Factorisation factors = r > 0 ? analysis.factorize(r) : Factorisation{};
            std::size_t first = 0;
            double sum = 0.0;
            for (std::size_t b = 0; b < 3; ++b) {
                const std::size_t rows = group.linear(b).W.rows();
                const Matrix<double> own = metrics.empty()
                                               ? rowsOf(expected, first, rows)
                                               : product(inverse(metrics[b]), rowsOf(expected, first, rows));
                if (r > 0) {
                    QCOMPARE(factors.A.rows(), r);
                    const Matrix<double> stored = product(rowsOf(factors.B, first, rows), factors.A);
                    QVERIFY(squaredNorm(difference(own, stored)) < 1e-14 * squaredNorm(group.linear(b).W));
                }
                QVERIFY(relative(analysis.memberLosses(b)[r], lossOf(b, own)) < 1e-8);
                sum += lossOf(b, own);
                first += rows;
            }
            QVERIFY(relative(analysis.loss(r), sum) < 1e-8);
        }
        const double total = analysis.totalEnergy();
        QVERIFY(analysis.loss(full) <= 1e-14 * total);
        for (std::size_t i = 0; i < full; ++i)
            QVERIFY(std::abs(analysis.singularValues()[i] - direct.S[i]) < 1e-9 * direct.S[0]);
        QVERIFY_THROWS_EXCEPTION(Error, analysis.factorize(0));
        QVERIFY_THROWS_EXCEPTION(Error, analysis.factorize(full + 1));
        QVERIFY_THROWS_EXCEPTION(Error, analysis.loss(full + 1));
    }

private slots:
    /// Whitened SVD of the stack: the least sum of output errors over one A.
    void isTheOptimumOfTheStack()
    {
        const Group group;
        const auto analysis = analyze("joint-latents", group);
        equalsTheStackedSvd(*analysis, group, {}, group.statistics.secondMoment,
                            [&](std::size_t b, const Matrix<double>& W_hat) {
                                return outputError(group.linear(b).W, group.X, W_hat, group.X);
                            });
        // The same as whitened SVD of the stack as one linear.
        const auto whole =
            findMethod("whitened-svd")
                .analyze(*m_device, {.name = "", .W = group.stack(), .statistics = &group.statistics}, {});
        for (std::size_t r = 0; r < 30; ++r)
            QVERIFY(relative(analysis->loss(r), whole->loss(r)) < 1e-10);
        for (const char* method : {"joint-qkv", "joint-gate-up"})
            QCOMPARE(analyze(method, group)->lossAtEveryRank(), analysis->lossAtEveryRank());
    }

    /// Each linear's error as a share of its own energy: rows divided by ||W_b X||_F.
    void linearsMayBeWeighed()
    {
        const Group group;
        std::vector<Matrix<double>> metrics;
        for (std::size_t b = 0; b < 3; ++b)
            metrics.push_back(
                scaled(group.linear(b).W.rows(), 1.0 / std::sqrt(squaredNorm(product(group.linear(b).W, group.X)))));
        const auto analysis = analyze("joint-qkv", group, {{"weighLinears", 1.0}});
        const auto plain = analyze("joint-qkv", group);
        const Svd direct = svd(product(group.stack(metrics), cholesky(group.statistics.secondMoment)));
        double worst = 0.0;
        for (std::size_t r = 1; r < 30; ++r) {
            double shares = 0.0;
            for (std::size_t b = 0; b < 3; ++b) {
                const std::size_t first = std::vector<std::size_t>{0, 24, 36}[b];
                const Factorisation factors = analysis->factorize(r);
                const Matrix<double> W_hat = product(rowsOf(factors.B, first, group.linear(b).W.rows()), factors.A);
                const double error = outputError(group.linear(b).W, group.X, W_hat, group.X);
                QVERIFY(relative(analysis->memberLosses(b)[r], error) < 1e-8);
                shares += error / squaredNorm(product(group.linear(b).W, group.X));
            }
            QVERIFY(relative(shares, direct.tail(r)) < 1e-8);
            QVERIFY(analysis->loss(r) >= plain->loss(r) * (1.0 - 1e-10));
            // The weak values are what the weights are for.
            worst = std::max(worst, analysis->memberLosses(2)[r] / plain->memberLosses(2)[r]);
        }
        QVERIFY(worst < 1.0);
    }

    void nothingWeighsNothing()
    {
        Group group;
        std::fill(group.problem.members[1].problem.W.span().begin(), group.problem.members[1].problem.W.span().end(),
                  0.0);
        for (const double weigh : {0.0, 1.0}) {
            const auto analysis = analyze("joint-qkv", group, {{"weighLinears", weigh}});
            for (const double loss : analysis->memberLosses(1))
                QCOMPARE(loss, 0.0);
            QVERIFY(analysis->memberLosses(0)[4] > 0.0);
            const Factorisation factors = analysis->factorize(20);
            QVERIFY(std::ranges::all_of(factors.B.span(), [](double value) { return std::isfinite(value); }));
            // It is stored as the zero that it is.
            const Matrix<double> own = rowsOf(factors.B, 24, group.linear(1).W.rows());
            QVERIFY(std::ranges::all_of(own.span(), [](double value) { return value == 0.0; }));
        }
    }

    /// Nor does a linear that no gradient reaches.
    void noGradientIsNoLoss()
    {
        Group group;
        std::ranges::fill(group.outputs[1].secondMoment.span(), 0.0);
        const auto analysis = analyze("curvature-latents", group);
        for (const double loss : analysis->memberLosses(1))
            QCOMPARE(loss, 0.0);
        QVERIFY(analysis->memberLosses(0)[4] > 0.0);
    }

    /// blockdiag(L_b^T) W over blockdiag(L_b^-T) U, L_b L_b^T = G_b + damping, each of its own gradients.
    void curvatureIsTheOptimumInNats()
    {
        const Group group;
        const double damping = 0.05;
        std::vector<Matrix<double>> metrics;
        std::vector<Matrix<double>> damped;
        for (const TapStatistics& outputs : group.outputs) {
            Matrix<double> G = outputs.secondMoment;
            double trace = 0.0;
            for (std::size_t i = 0; i < G.rows(); ++i)
                trace += outputs.secondMoment(i, i);
            for (std::size_t i = 0; i < G.rows(); ++i)
                G(i, i) += damping * trace / static_cast<double>(G.rows());
            for (double& value : G.span())
                value /= static_cast<double>(outputs.tokens);
            damped.push_back(G);
            metrics.push_back(transposed(cholesky(G)));
        }
        const auto analysis = analyze("curvature-latents", group, {{"damping", damping}});
        equalsTheStackedSvd(*analysis, group, metrics, group.statistics.secondMoment,
                            [&](std::size_t b, const Matrix<double>& W_hat) {
                                const Matrix<double> E = product(difference(group.linear(b).W, W_hat), group.X);
                                const Matrix<double> GE = product(damped[b], E);
                                double sum = 0.0;
                                for (std::size_t i = 0; i < E.size(); ++i)
                                    sum += E.data()[i] * GE.data()[i];
                                return 0.5 * sum / static_cast<double>(group.X.columns());
                            });
        for (std::size_t b = 0; b < 3; ++b)
            QCOMPARE(analysis->memberNats(*m_device, group.problem, b), analysis->memberLosses(b));
        // Fewer nats than latents that only know the inputs.
        const auto plain = analyze("joint-latents", group);
        for (const std::size_t r : {4UL, 12UL, 20UL}) {
            double least = 0.0;
            double other = 0.0;
            for (std::size_t b = 0; b < 3; ++b) {
                least += analyze("curvature-latents", group, {{"damping", 1e-8}})->memberLosses(b)[r];
                other += plain->memberNats(*m_device, group.problem, b)[r];
            }
            QVERIFY(least < other);
        }
    }

    void natsOfOtherLatents()
    {
        const Group group;
        for (const double weighed : {0.0, 1.0}) {
            const auto analysis = analyze("joint-latents", group, {{"weighLinears", weighed}});
            std::size_t first = 0;
            for (std::size_t b = 0; b < 3; ++b) {
                const std::vector<double> curve = analysis->memberNats(*m_device, group.problem, b);
                QCOMPARE(curve.size(), std::size_t{31});
                for (std::size_t r = 1; r < 30; r += 4) {
                    const Factorisation factors = analysis->factorize(r);
                    const Matrix<double> W_hat = product(rowsOf(factors.B, first, group.linear(b).W.rows()), factors.A);
                    QVERIFY(relative(curve[r],
                                     nats(difference(group.linear(b).W, W_hat), group.X, group.gradients[b])) < 1e-9);
                }
                first += group.linear(b).W.rows();
            }
        }
    }

    /// Centred statistics, and biases that keep the mean outputs.
    void biasesAreUpdated()
    {
        for (const bool biased : {false, true}) {
            const Group group(160, biased);
            const auto analysis = analyze("joint-latents", group, {{"biasUpdate", 1.0}});
            for (const std::size_t r : {3UL, 11UL, 25UL}) {
                const Factorisation factors = analysis->factorize(r);
                QCOMPARE(factors.bias.size(), std::size_t{48});
                std::size_t first = 0;
                for (std::size_t b = 0; b < 3; ++b) {
                    const std::size_t rows = group.linear(b).W.rows();
                    const Matrix<double> W_hat = product(rowsOf(factors.B, first, rows), factors.A);
                    const std::vector<double> bias(factors.bias.begin() + static_cast<std::ptrdiff_t>(first),
                                                   factors.bias.begin() + static_cast<std::ptrdiff_t>(first + rows));
                    QVERIFY(relative(analysis->memberLosses(b)[r], outputError(group.linear(b).W, group.linear(b).bias,
                                                                               group.X, W_hat, bias, group.X)) < 1e-8);
                    first += rows;
                }
            }
        }
    }

    /// min sum_b ||W_b X - W_b_hat X_hat||: losses are those of the activations themselves.
    void inputsMayBeAnchored()
    {
        Group group;
        Matrix<double> Xh = group.X;
        const Matrix<double> noise = correlatedInputs(30, 160, 31);
        for (std::size_t i = 0; i < Xh.size(); ++i)
            Xh.data()[i] = 0.9 * Xh.data()[i] + 0.2 * noise.data()[i];
        const TapStatistics anchored = anchoredStatistics(group.X, Xh);
        for (GroupMember& member : group.problem.members)
            member.problem.statistics = &anchored;
        const auto analysis = analyze("joint-latents", group);
        const Matrix<double> back = inverse(cholesky(anchored.secondMoment));
        const Svd direct = svd(product(product(group.stack(), anchored.crossMoment), transposed(back)));
        for (std::size_t r = 1; r < 30; ++r) {
            const Matrix<double> expected = product(direct.truncated(r), back);
            std::size_t first = 0;
            for (std::size_t b = 0; b < 3; ++b) {
                const std::size_t rows = group.linear(b).W.rows();
                QVERIFY(relative(analysis->memberLosses(b)[r],
                                 outputError(group.linear(b).W, group.X, rowsOf(expected, first, rows), Xh)) < 1e-8);
                first += rows;
            }
        }
        QVERIFY_THROWS_EXCEPTION(Error, analyze("curvature-latents", group));
    }

    /// Fewer tokens than channels: full rank gives the weights again, and no loss is left behind the tokens.
    void fewTokens()
    {
        const Group group(9);
        for (const char* method : {"joint-latents", "curvature-latents"}) {
            const auto analysis = analyze(method, group);
            QVERIFY(analysis->loss(9) < 1e-13 * analysis->totalEnergy());
            const Factorisation factors = analysis->factorize(30);
            const Matrix<double> W = product(factors.B, factors.A);
            QVERIFY(squaredNorm(difference(W, group.stack())) < 1e-20 * squaredNorm(W));
        }
    }

    void whatCannotShareIsRefusedByName()
    {
        const auto tensorOf = [](const auto& work) {
            try {
                work();
            } catch (const Error& error) {
                return error.tensor();
            }
            return std::string("nothing");
        };
        Group other;
        const TapStatistics elsewhere = other.statistics;
        other.problem.members[2].problem.statistics = &elsewhere;
        QCOMPARE(tensorOf([&] { analyze("joint-latents", other); }), std::string("v"));
        Group narrow;
        narrow.problem.members[1].problem.W = randomWeights(12, 29, 3);
        QCOMPARE(tensorOf([&] { analyze("joint-latents", narrow); }), std::string("k"));
        Group blind;
        blind.problem.members[1].problem.gradients = nullptr;
        QCOMPARE(tensorOf([&] { analyze("curvature-latents", blind); }), std::string("k"));
        Group broken;
        broken.problem.members[0].problem.W(1, 1) = std::nan("");
        QCOMPARE(tensorOf([&] { analyze("joint-latents", broken); }), std::string("q + k + v"));
        QVERIFY_THROWS_EXCEPTION(Error, analyze("joint-latents", Group(), {{"damping", 0.1}}));
    }
};

QTEST_GUILESS_MAIN(TestJointLatents)
#include "tst_joint_latents.moc"
