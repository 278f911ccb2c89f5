#include "core/base/error.h"
#include "core/decomposition/curvature.h"
#include "reference.h"

#include <QTest>

#include <cmath>
#include <optional>

using namespace rankwright;
using namespace reference;

namespace {

Matrix<double> damped(Matrix<double> moment, double damping)
{
    double trace = 0.0;
    for (std::size_t i = 0; i < moment.rows(); ++i)
        trace += moment(i, i);
    for (std::size_t i = 0; i < moment.rows(); ++i)
        moment(i, i) += damping * trace / static_cast<double>(moment.rows());
    return moment;
}

Matrix<double> diagonal(const Matrix<double>& moment)
{
    Matrix<double> result(moment.rows(), moment.columns());
    for (std::size_t i = 0; i < moment.rows(); ++i)
        result(i, i) = moment(i, i);
    return result;
}

/// tr(F_out D F_in D^T), what the methods minimise.
double weighted(const Matrix<double>& D, const Matrix<double>& outputs, const Matrix<double>& inputs)
{
    const Matrix<double> left = product(outputs, D);
    const Matrix<double> right = product(D, inputs);
    double sum = 0.0;
    for (std::size_t i = 0; i < left.size(); ++i)
        sum += left.data()[i] * right.data()[i];
    return sum;
}

} // namespace

/// GFWSVD and whitened FWSVD against their formulas, by LAPACK's SVD and eigendecomposition.
class TestGfwsvd : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    static constexpr double usualDamping = 0.01;

private slots:
    void equalsItsFormula_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        for (const char* method : {"gfwsvd", "whitened-fwsvd"}) {
            QTest::addRow("%s, wide", method) << method << 16 << 25;
            QTest::addRow("%s, tall", method) << method << 25 << 16;
        }
    }
    /// W_hat = F_out^-1/2 SVD_r(F_out^1/2 W F_in^1/2) F_in^-1/2, with symmetric roots; no change of the factors is
    /// better.
    void equalsItsFormula()
    {
        QFETCH(QString, method);
        QFETCH(int, rows);
        QFETCH(int, columns);
        const auto m = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(columns);
        const bool whitened = method == QLatin1String("whitened-fwsvd");
        const Matrix<double> W = randomWeights(m, n, 1);
        const TapStatistics inputs = statisticsOf(correlatedInputs(n, 120, 2));
        const TapStatistics gradients = gradientsOf(correlatedInputs(m, 140, 3), n);
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &gradients};
        const auto analysis = findMethod(method.toStdString()).analyze(*m_device, problem, {});
        const Matrix<double>& in = whitened ? inputs.secondMoment : gradients.weightInputs;
        const Matrix<double> out =
            damped(whitened ? diagonal(gradients.weightOutputs) : gradients.weightOutputs, usualDamping);
        const Svd direct = svd(product(product(symmetricPower(out, 0.5), W), symmetricPower(in, 0.5)));
        for (std::size_t r = 1; r < std::min(m, n); ++r) {
            const Matrix<double> expected =
                product(product(symmetricPower(out, -0.5), direct.truncated(r)), symmetricPower(in, -0.5));
            const Matrix<double> W_hat = approximation(*analysis, r);
            QVERIFY(squaredNorm(difference(W_hat, expected)) < 1e-16 * squaredNorm(W));
            QVERIFY(std::abs(analysis->loss(r) - curvatureLoss(*m_device, problem, expected)) <
                    1e-9 * analysis->totalEnergy());
            const double least = weighted(difference(W, W_hat), out, in);
            QVERIFY(relative(least, direct.tail(r)) < 1e-8);
            const Factorisation factors = analysis->factorize(r);
            for (unsigned seed = 0; seed < 10; ++seed) {
                const Matrix<double> dB = randomMatrix(m, r, 20 + seed);
                Matrix<double> B = factors.B;
                for (std::size_t i = 0; i < B.size(); ++i)
                    B.data()[i] += 1e-3 * dB.data()[i];
                QVERIFY(weighted(difference(W, product(B, factors.A)), out, in) >= least);
            }
        }
    }

    /// What the second order of the loss says is never better than the curvature's own method.
    void isNotBelowCurvatureSvd()
    {
        const Matrix<double> W = randomWeights(20, 28, 4);
        const TapStatistics inputs = statisticsOf(correlatedInputs(28, 200, 5));
        const TapStatistics gradients = gradientsOf(correlatedInputs(20, 150, 6), 28);
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &gradients};
        const auto best = findMethod("curvature-svd").analyze(*m_device, problem, {{"damping", 1e-8}});
        for (const char* name : {"gfwsvd", "whitened-fwsvd", "fwsvd"}) {
            const auto analysis = findMethod(name).analyze(*m_device, problem, {});
            QVERIFY(relative(analysis->totalEnergy(), best->totalEnergy()) < 1e-6);
            for (std::size_t r = 1; r < 20; ++r)
                QVERIFY(analysis->loss(r) >= best->loss(r) * (1.0 - 1e-6));
        }
    }

    /// Outputs and inputs whose weights never get a gradient: full rank is W all the same.
    void unseenChannels()
    {
        const Matrix<double> W = randomWeights(10, 14, 7);
        const TapStatistics inputs = statisticsOf(correlatedInputs(14, 60, 8));
        TapStatistics gradients = gradientsOf(correlatedInputs(10, 60, 9), 14);
        for (const bool all : {false, true}) {
            for (std::size_t i = 0; i < 14; ++i)
                for (std::size_t j = 0; j < 14; ++j)
                    if (all || i == 3 || j == 3)
                        gradients.weightInputs(i, j) = 0.0;
            for (std::size_t i = 0; i < 10; ++i)
                for (std::size_t j = 0; j < 10; ++j)
                    if (all || i == 2 || j == 2)
                        gradients.weightOutputs(i, j) = 0.0;
            const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &gradients};
            const auto analysis = findMethod("gfwsvd").analyze(*m_device, problem, {});
            QVERIFY(squaredNorm(difference(approximation(*analysis, 10), W)) < 1e-18 * squaredNorm(W));
            if (all) {
                const Svd plain = svd(W);
                QVERIFY(squaredNorm(difference(approximation(*analysis, 4), plain.truncated(4))) <
                        1e-20 * squaredNorm(W));
            }
        }
    }

    void refusesWhatDoesNotFit()
    {
        const Matrix<double> W = randomWeights(6, 8, 10);
        const TapStatistics inputs = statisticsOf(correlatedInputs(8, 30, 11));
        TapStatistics gradients = statisticsOf(correlatedInputs(6, 30, 12));
        const auto kind = [&](const char* method) -> std::optional<ErrorKind> {
            try {
                findMethod(method).analyze(
                    *m_device, {.name = "up_proj", .W = W, .statistics = &inputs, .gradients = &gradients}, {});
            } catch (const Error& error) {
                return error.tensor() == "up_proj" ? std::optional(error.kind()) : std::nullopt;
            }
            return std::nullopt;
        };
        for (const char* method : {"gfwsvd", "whitened-fwsvd"}) {
            QVERIFY(findMethod(method).needsGradients() && findMethod(method).needsWeightMoments());
            gradients.weightInputs = {};
            QCOMPARE(kind(method), ErrorKind::InvalidArgument);
            gradients.weightInputs = Matrix<double>(7, 7);
            gradients.weightOutputs = Matrix<double>(6, 6);
            QCOMPARE(kind(method), ErrorKind::Mismatch);
            gradients.weightInputs = Matrix<double>(8, 8);
            QCOMPARE(kind(method), std::nullopt);
            gradients.weightOutputs(1, 2) = std::nan("");
            QCOMPARE(kind(method), ErrorKind::NonFinite);
        }
    }
};

QTEST_GUILESS_MAIN(TestGfwsvd)
#include "tst_gfwsvd.moc"
