#include "core/base/error.h"
#include "core/decomposition/curvature.h"
#include "reference.h"

#include <QTest>

#include <cmath>
#include <optional>

using namespace rankwright;
using namespace reference;

/// FWSVD against its own formula, by LAPACK's SVD.
class TestFwsvd : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    /// W with column j times scale_j.
    static Matrix<double> scaled(Matrix<double> W, const std::vector<double>& scale, bool divide)
    {
        for (std::size_t i = 0; i < W.rows(); ++i)
            for (std::size_t j = 0; j < W.columns(); ++j)
                W(i, j) = divide ? W(i, j) / scale[j] : W(i, j) * scale[j];
        return W;
    }

private slots:
    void equalsItsFormula_data()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::newRow("wide") << 16 << 25;
        QTest::newRow("tall") << 25 << 16;
    }
    void equalsItsFormula()
    {
        QFETCH(int, rows);
        QFETCH(int, columns);
        const auto m = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(columns);
        const Matrix<double> W = randomWeights(m, n, 1);
        const TapStatistics inputs = statisticsOf(correlatedInputs(n, 120, 2));
        const TapStatistics gradients = gradientsOf(correlatedInputs(m, 140, 3), n);
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &gradients};
        const auto analysis = findMethod("fisher-svd").analyze(*m_device, problem, {});
        std::vector<double> f;
        for (const double square : gradients.weightSquares)
            f.push_back(std::sqrt(square));
        const Svd direct = svd(scaled(W, f, false));
        for (std::size_t r = 1; r < std::min(m, n); ++r) {
            const Matrix<double> expected = scaled(direct.truncated(r), f, true);
            const Factorisation factors = analysis->factorize(r);
            const Matrix<double> W_hat = product(factors.B, factors.A);
            QVERIFY(squaredNorm(difference(W_hat, expected)) < 1e-18 * squaredNorm(W));
            QVERIFY(std::abs(analysis->loss(r) - curvatureLoss(*m_device, problem, expected)) <
                    1e-9 * analysis->totalEnergy());
        }
    }

    /// A channel whose weights never get a gradient keeps a millionth of the largest scale.
    void unseenChannelsDoNotVanish()
    {
        const Matrix<double> W = randomWeights(10, 14, 4);
        const TapStatistics inputs = statisticsOf(correlatedInputs(14, 60, 5));
        TapStatistics gradients = gradientsOf(correlatedInputs(10, 60, 6), 14);
        gradients.weightSquares[3] = 0.0;
        const LinearProblem problem{.name = "x", .W = W, .statistics = &inputs, .gradients = &gradients};
        const auto analysis = findMethod("fwsvd").analyze(*m_device, problem, {});
        const Factorisation full = analysis->factorize(10);
        QVERIFY(squaredNorm(difference(product(full.B, full.A), W)) < 1e-20 * squaredNorm(W));
        // All alike, or none at all: plain SVD.
        const auto plain = findMethod("svd").analyze(*m_device, {.name = "x", .W = W}, {});
        for (const double all : {0.0, 2.5}) {
            gradients.weightSquares.assign(14, all);
            const auto same = findMethod("fwsvd").analyze(*m_device, problem, {});
            const Factorisation a = same->factorize(4);
            const Factorisation b = plain->factorize(4);
            QVERIFY(squaredNorm(difference(product(a.B, a.A), product(b.B, b.A))) < 1e-20 * squaredNorm(W));
        }
    }

    void refusesWhatDoesNotFit()
    {
        const Matrix<double> W = randomWeights(6, 8, 7);
        const TapStatistics inputs = statisticsOf(correlatedInputs(8, 30, 8));
        TapStatistics gradients = statisticsOf(correlatedInputs(6, 30, 9));
        const auto kind = [&]() -> std::optional<ErrorKind> {
            try {
                findMethod("fwsvd").analyze(
                    *m_device, {.name = "up_proj", .W = W, .statistics = &inputs, .gradients = &gradients}, {});
            } catch (const Error& error) {
                return error.tensor() == "up_proj" ? std::optional(error.kind()) : std::nullopt;
            }
            return std::nullopt;
        };
        QCOMPARE(kind(), ErrorKind::InvalidArgument);
        gradients.weightSquares.assign(7, 1.0);
        QCOMPARE(kind(), ErrorKind::Mismatch);
        gradients.weightSquares.assign(8, 1.0);
        QCOMPARE(kind(), std::nullopt);
        for (const double wrong : {-1.0, std::nan(""), static_cast<double>(INFINITY)}) {
            gradients.weightSquares[2] = wrong;
            QCOMPARE(kind(), ErrorKind::NonFinite);
        }
    }
};

QTEST_GUILESS_MAIN(TestFwsvd)
#include "tst_fwsvd.moc"
