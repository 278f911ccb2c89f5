#include "core/base/error.h"
#include "core/decomposition/curvature.h"
#include "reference.h"

#include <QTest>

#include <cmath>

using namespace rankwright;
using namespace reference;

namespace {

/// 1/2 (1 / T_g) (1 / T_x) sum over pairs of tokens of (g_s^T D x_t)^2: the trace by its definition,
/// Kronecker-factored.
double nats(const Matrix<double>& D, const Matrix<double>& X, const Matrix<double>& gradients)
{
    return 0.5 * squaredNorm(product(transposed(gradients), product(D, X))) / static_cast<double>(X.columns()) /
           static_cast<double>(gradients.columns());
}

} // namespace

/// Curvature: losses in nats, and the method that makes them least.
class TestCurvatureSvd : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    static constexpr double noDamping = 1e-8; ///< the least that is allowed

private slots:
    void equalsTheTwoSidedSvd_data()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::newRow("wide") << 16 << 25;
        QTest::newRow("tall") << 25 << 16;
    }
    /// W_hat = G^-1/2 SVD_r(G^1/2 W A^1/2) A^-1/2, with roots from an eigendecomposition.
    void equalsTheTwoSidedSvd()
    {
        QFETCH(int, rows);
        QFETCH(int, columns);
        const auto m = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(columns);
        const Matrix<double> W = randomWeights(m, n, 1);
        const Matrix<double> X = correlatedInputs(n, 120, 2);
        const Matrix<double> gradients = correlatedInputs(m, 140, 3);
        const TapStatistics inputs = statisticsOf(X);
        const TapStatistics outputs = statisticsOf(gradients);
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &outputs};
        const auto analysis = findMethod("curvature-svd").analyze(*m_device, problem, {{"damping", noDamping}});
        const Matrix<double> right = symmetricPower(inputs.secondMoment, 0.5);
        const Matrix<double> left = symmetricPower(outputs.secondMoment, 0.5);
        const Svd direct = svd(product(product(left, W), right));
        const double scale = 0.5 / 120.0 / 140.0;
        for (std::size_t r = 1; r < std::min(m, n); ++r) {
            const Matrix<double> W_hat = approximation(*analysis, r);
            // The least damping that is allowed is seen in small losses.
            QVERIFY(std::abs(analysis->loss(r) - scale * direct.tail(r)) < 1e-7 * analysis->totalEnergy());
            QVERIFY(std::abs(nats(difference(W, W_hat), X, gradients) - analysis->loss(r)) <
                    1e-7 * analysis->totalEnergy());
            QVERIFY(relative(curvatureLoss(*m_device, problem, W_hat), nats(difference(W, W_hat), X, gradients)) <
                    1e-10);
            const Matrix<double> expected =
                product(product(symmetricPower(outputs.secondMoment, -0.5), direct.truncated(r)),
                        symmetricPower(inputs.secondMoment, -0.5));
            QVERIFY(nats(difference(W_hat, expected), X, gradients) < 1e-8 * analysis->totalEnergy());
        }
    }

    /// No change of the factors makes the loss smaller.
    void isStationaryAndBest()
    {
        const Matrix<double> W = randomWeights(14, 20, 4);
        const TapStatistics inputs = statisticsOf(correlatedInputs(20, 100, 5));
        const TapStatistics outputs = statisticsOf(correlatedInputs(14, 100, 6));
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &outputs};
        const Method& method = findMethod("curvature-svd");
        const MethodParameters parameters{{"damping", 0.1}};
        const auto analysis = method.analyze(*m_device, problem, parameters);
        const auto whitened = findMethod("whitened-svd").analyze(*m_device, problem, {});
        for (const std::size_t r : {1UL, 5UL, 12UL}) {
            const Factorisation factors = analysis->factorize(r);
            const double least = method.measure(*m_device, problem, parameters, product(factors.B, factors.A), {});
            QVERIFY(relative(analysis->loss(r), least) < 1e-10);
            for (unsigned seed = 0; seed < 20; ++seed)
                for (const double step : {1e-1, 1e-3}) {
                    Factorisation other = factors;
                    const Matrix<double> dB = randomMatrix(14, r, 10 + seed);
                    const Matrix<double> dA = randomMatrix(r, 20, 40 + seed);
                    for (std::size_t i = 0; i < other.B.size(); ++i)
                        other.B.data()[i] += step * dB.data()[i];
                    for (std::size_t i = 0; i < other.A.size(); ++i)
                        other.A.data()[i] += step * dA.data()[i];
                    QVERIFY(method.measure(*m_device, problem, parameters, product(other.B, other.A), {}) >=
                            least * (1.0 - 1e-12));
                }
            QVERIFY(method.measure(*m_device, problem, parameters, approximation(*whitened, r), {}) >= least);
        }
    }

    /// 1/2 tr(G E) with e = W x - W_hat x_hat: the least-squares target W X Xh^+, truncated in both metrics.
    void anchoredEqualsTheDirectRoute()
    {
        for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{12, 18}, {18, 12}}) {
            const Matrix<double> W = randomWeights(m, n, 21);
            const Matrix<double> X = correlatedInputs(n, 160, 22);
            Matrix<double> Xh = X;
            const Matrix<double> noise = correlatedInputs(n, 160, 23);
            for (std::size_t i = 0; i < Xh.size(); ++i)
                Xh.data()[i] = 0.9 * Xh.data()[i] + 0.2 * noise.data()[i];
            const Matrix<double> gradients = correlatedInputs(m, 140, 24);
            const TapStatistics inputs = anchoredStatistics(X, Xh);
            const TapStatistics outputs = statisticsOf(gradients);
            const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &outputs};
            const Method& method = findMethod("curvature-svd");
            const MethodParameters parameters{{"damping", noDamping}};
            const auto analysis = method.analyze(*m_device, problem, parameters);

            const Matrix<double> target = product(product(W, inputs.crossMoment), inverse(inputs.secondMoment));
            const Matrix<double> left = symmetricPower(outputs.secondMoment, 0.5);
            const Svd direct = svd(product(product(left, target), symmetricPower(inputs.secondMoment, 0.5)));
            const auto natsOf = [&](const Matrix<double>& W_hat) {
                const Matrix<double> errors = difference(product(W, X), product(W_hat, Xh));
                return 0.5 * squaredNorm(product(transposed(gradients), errors)) / 160.0 / 140.0;
            };
            for (std::size_t r = 1; r <= std::min(m, n); ++r) {
                const Matrix<double> W_hat = approximation(*analysis, r);
                const Matrix<double> expected =
                    product(product(symmetricPower(outputs.secondMoment, -0.5), direct.truncated(r)),
                            symmetricPower(inputs.secondMoment, -0.5));
                QVERIFY(squaredNorm(difference(W_hat, expected)) < 1e-10 * squaredNorm(W));
                QVERIFY(std::abs(analysis->loss(r) - natsOf(W_hat)) < 1e-7 * analysis->totalEnergy());
                QVERIFY(relative(curvatureLoss(*m_device, problem, W_hat), natsOf(W_hat)) < 1e-10);
                QVERIFY(natsOf(W_hat) <= natsOf(expected) * (1.0 + 1e-6));
            }
            // A changed bias c takes c off every error.
            const Matrix<double> W_hat = approximation(*analysis, 4);
            const std::vector<double> change = [m = m] {
                std::vector<double> values(m);
                for (std::size_t i = 0; i < m; ++i)
                    values[i] = 0.3 * static_cast<double>(i % 5) - 0.4;
                return values;
            }();
            Matrix<double> errors = difference(product(W, X), product(W_hat, Xh));
            for (std::size_t i = 0; i < m; ++i)
                for (std::size_t t = 0; t < 160; ++t)
                    errors(i, t) -= change[i];
            QVERIFY(relative(curvatureLoss(*m_device, problem, W_hat, 0.0, change),
                             0.5 * squaredNorm(product(transposed(gradients), errors)) / 160.0 / 140.0) < 1e-10);
        }
    }

    /// With gradients that do not prefer any output it is whitened SVD.
    void equalGradientsGiveWhitenedSvd()
    {
        const Matrix<double> W = randomWeights(12, 18, 7);
        const TapStatistics inputs = statisticsOf(correlatedInputs(18, 100, 8));
        TapStatistics outputs;
        outputs.tokens = 10;
        outputs.secondMoment = Matrix<double>(12, 12);
        for (std::size_t i = 0; i < 12; ++i)
            outputs.secondMoment(i, i) = 30.0;
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &outputs};
        const auto analysis = findMethod("curvature-svd").analyze(*m_device, problem, {{"damping", noDamping}});
        const auto whitened = findMethod("whitened-svd").analyze(*m_device, problem, {});
        for (std::size_t r = 1; r < 12; ++r) {
            QVERIFY(squaredNorm(difference(approximation(*analysis, r), approximation(*whitened, r))) < 1e-20);
            // 1/2 * 3 per output and token.
            QVERIFY(relative(analysis->loss(r), 1.5 * whitened->loss(r) / 100.0) < 1e-7);
        }
    }

    /// The curve that plans ranks in nats is exact for projections, and close for others.
    void curvesAreTheLosses()
    {
        const Matrix<double> W = randomWeights(24, 36, 9);
        const TapStatistics inputs = statisticsOf(correlatedInputs(36, 200, 10));
        const TapStatistics outputs = gradientsOf(correlatedInputs(24, 150, 11), 36);
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &outputs};
        for (const Method* method : methods()) {
            const auto analysis = method->analyze(*m_device, problem, {});
            const std::vector<double> curve = analysis->curvatureCurve(*m_device, problem);
            QCOMPARE(curve.size(), std::size_t{25});
            if (updatesBias(*method, {}))
                continue; // of centred inputs, see curvesKnowTheBias()
            const bool exact =
                method->name() != "nsvd" && method->name() != "nid" && method->name() != "low-rank-sparse";
            for (std::size_t r = 1; r <= 24; ++r) {
                const double measured = curvatureLoss(*m_device, problem, approximation(*analysis, r));
                const double damped = method->measure(*m_device, problem, {}, approximation(*analysis, r), {});
                const double expected = method->needsGradients() ? damped : measured;
                if (exact)
                    QVERIFY(std::abs(curve[r] - expected) < 1e-9 * curve[0]);
                else
                    QVERIFY2(std::abs(curve[r] - measured) < 0.03 * curve[0],
                             qPrintable(QStringLiteral("%1 rank %2: %3 for %4 of %5")
                                            .arg(QString::fromLatin1(method->name().data()))
                                            .arg(r)
                                            .arg(curve[r])
                                            .arg(measured)
                                            .arg(curve[0])));
            }
        }
    }

    /// Where the bias is updated, the curve is of W_hat with its own bias: between measured ranks too for projections.
    void curvesKnowTheBias()
    {
        const Matrix<double> W = randomWeights(12, 20, 21);
        const TapStatistics inputs = statisticsOf(shiftedInputs(20, 150, 22));
        const TapStatistics outputs = gradientsOf(correlatedInputs(12, 110, 23), 20);
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &outputs};
        for (const char* name : {"whitened-svd", "nsvd", "nid", "low-rank-sparse"}) {
            const auto analysis =
                findMethod(name).analyze(*m_device, problem, {{std::string(biasUpdateParameter), 1.0}});
            const std::vector<double> curve = analysis->curvatureCurve(*m_device, problem);
            for (const std::size_t r : {1UL, 2UL, 4UL, 6UL, 9UL}) {
                const Factorisation factors = analysis->factorize(r);
                const std::vector<double> bias(factors.bias.begin(), factors.bias.end());
                const double measured = curvatureLoss(*m_device, problem, factors.approximation(*m_device), 0.0, bias);
                // Biases are rounded to float32.
                QVERIFY2(std::abs(curve[r] - measured) < 0.03 * measured + 1e-6 * curve[0], name);
                QVERIFY2(curve[r] < 0.9 * curvatureLoss(*m_device, problem, factors.approximation(*m_device)), name);
            }
        }
    }

    void refusesWhatDoesNotFit()
    {
        const Matrix<double> W = randomWeights(6, 8, 12);
        const TapStatistics inputs = statisticsOf(correlatedInputs(8, 30, 13));
        const TapStatistics outputs = statisticsOf(correlatedInputs(5, 30, 14));
        LinearProblem problem{.name = "up_proj", .W = W, .statistics = &inputs};
        const Method& method = findMethod("two-sided-svd");
        const auto kind = [&](const MethodParameters& parameters = {}) {
            try {
                method.analyze(*m_device, problem, parameters);
            } catch (const Error& error) {
                return error.kind();
            }
            return ErrorKind::Internal;
        };
        QCOMPARE(kind(), ErrorKind::InvalidArgument);
        problem.gradients = &outputs;
        QCOMPARE(kind(), ErrorKind::Mismatch);
        const TapStatistics fitting = statisticsOf(correlatedInputs(6, 30, 14));
        problem.gradients = &fitting;
        QCOMPARE(kind({{"damping", 0.0}}), ErrorKind::InvalidArgument);
        QCOMPARE(kind({{"damp", 1.0}}), ErrorKind::InvalidArgument);
    }

    /// A linear that no gradient reaches, and outputs whose gradients are massive.
    void edgesStayFinite()
    {
        const Matrix<double> W = randomWeights(10, 12, 15);
        const TapStatistics inputs = statisticsOf(correlatedInputs(12, 40, 16));
        Matrix<double> gradients = correlatedInputs(10, 40, 17);
        for (std::size_t t = 0; t < 40; ++t) {
            gradients(2, t) = 0.0;
            gradients(5, t) *= 800.0;
        }
        TapStatistics massive = statisticsOf(gradients);
        TapStatistics none = massive;
        std::ranges::fill(none.secondMoment.span(), 0.0);
        for (const TapStatistics* outputs : {&massive, &none}) {
            const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = outputs};
            const auto analysis = findMethod("curvature-svd").analyze(*m_device, problem, {});
            for (std::size_t r = 1; r <= 10; ++r) {
                QVERIFY(std::isfinite(analysis->loss(r)) && analysis->loss(r) <= analysis->loss(r - 1));
                const Matrix<double> W_hat = approximation(*analysis, r);
                for (const double value : W_hat.span())
                    QVERIFY(std::isfinite(value));
            }
            QVERIFY(squaredNorm(difference(approximation(*analysis, 10), W)) < 1e-18 * squaredNorm(W));
        }
    }

    /// Where no gradient arrives every change costs nothing, with every method.
    void noGradientIsNoLoss()
    {
        const Matrix<double> W = randomWeights(10, 12, 18);
        const TapStatistics inputs = statisticsOf(correlatedInputs(12, 40, 19));
        TapStatistics outputs = gradientsOf(correlatedInputs(10, 40, 20), 12);
        for (Matrix<double>* moment : {&outputs.secondMoment, &outputs.weightInputs, &outputs.weightOutputs})
            std::ranges::fill(moment->span(), 0.0);
        std::ranges::fill(outputs.weightSquares, 0.0);
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &outputs};
        for (const Method* method : methods()) {
            const auto analysis = method->analyze(*m_device, problem, {});
            for (const double nats : analysis->curvatureCurve(*m_device, problem))
                QVERIFY2(nats >= 0.0 && nats < 1e-300, method->name().data());
            if (method->needsGradients())
                QVERIFY2(analysis->loss(5) == 0.0 && analysis->totalEnergy() == 0.0, method->name().data());
        }
    }

    void namesWhatIsSingular()
    {
        const Matrix<double> W = randomWeights(30, 12, 24);
        const TapStatistics inputs = statisticsOf(correlatedInputs(12, 40, 25));
        // Not positive semidefinite, as rounding may leave a moment of few tokens, only more so.
        TapStatistics outputs = statisticsOf(correlatedInputs(30, 2, 26));
        outputs.secondMoment(3, 3) = -outputs.secondMoment(3, 3);
        const LinearProblem problem{.name = "up_proj", .W = W, .statistics = &inputs, .gradients = &outputs};
        try {
            findMethod("curvature-svd").analyze(*m_device, problem, {{"damping", noDamping}});
            QFAIL("was analysed");
        } catch (const Error& error) {
            QVERIFY(error.kind() == ErrorKind::Numeric && error.tensor() == "up_proj");
            QVERIFY(std::string(error.what()).find("take a larger damping") != std::string::npos);
        }
    }
};

QTEST_GUILESS_MAIN(TestCurvatureSvd)
#include "tst_curvature_svd.moc"
