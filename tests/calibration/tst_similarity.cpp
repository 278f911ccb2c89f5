#include "core/base/error.h"
#include "core/calibration/similarity.h"

#include <QTest>

#include <cmath>
#include <random>

using namespace rankwright;

namespace {

/// Sums of T tokens, channels x T.
TapStatistics statisticsOf(const Matrix<double>& X)
{
    TapStatistics statistics;
    statistics.tokens = X.columns();
    statistics.secondMoment = Matrix<double>(X.rows(), X.rows());
    for (std::size_t i = 0; i < X.rows(); ++i) {
        double sumAbs = 0.0;
        for (std::size_t t = 0; t < X.columns(); ++t) {
            sumAbs += std::abs(X(i, t));
            for (std::size_t j = 0; j < X.rows(); ++j)
                statistics.secondMoment(i, j) += X(i, t) * X(j, t);
        }
        statistics.sumAbs.push_back(sumAbs);
    }
    return statistics;
}

/// Every column is a multiple of one of the given channels' axes.
Matrix<double> axes(std::size_t channels, const std::vector<std::pair<std::size_t, double>>& sizes)
{
    Matrix<double> X(channels, sizes.size());
    for (std::size_t t = 0; t < sizes.size(); ++t)
        X(sizes[t].first, t) = sizes[t].second;
    return X;
}

} // namespace

class TestSimilarity : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

private slots:
    void knownSubspaces()
    {
        // Principal directions are axes: {0, 1} against {1, 2} share one of two.
        const TapStatistics a = statisticsOf(axes(5, {{0, 3.0}, {1, -2.0}, {4, 0.1}}));
        const TapStatistics b = statisticsOf(axes(5, {{1, 4.0}, {2, 2.0}, {4, 0.1}}));
        const TapSimilarity two = compareTaps(*m_device, a, b, 2);
        QVERIFY(std::abs(two.overlap - 0.5) < 1e-12);
        // mean |x| of (3, 2, 0, 0, .1) and (0, 4, 2, 0, .1).
        const double expected = (2.0 * 4.0 + 0.01) / std::sqrt((9.0 + 4.0 + 0.01) * (16.0 + 4.0 + 0.01));
        QVERIFY(std::abs(two.cosine - expected) < 1e-12);
        QVERIFY(std::abs(compareTaps(*m_device, a, b, 1).overlap) < 1e-12);
        // All directions span the whole space, and more than n are n.
        QVERIFY(std::abs(compareTaps(*m_device, a, b, 5).overlap - 1.0) < 1e-12);
        QVERIFY(std::abs(compareTaps(*m_device, a, b, 99).overlap - 1.0) < 1e-12);
    }

    void scaleAndOrderOfTokensMeanNothing()
    {
        std::mt19937 random(3);
        std::normal_distribution<double> normal;
        Matrix<double> X(12, 60);
        for (double& value : X.span())
            value = normal(random);
        Matrix<double> Y(12, 60);
        for (std::size_t i = 0; i < 12; ++i)
            for (std::size_t t = 0; t < 60; ++t)
                Y(i, t) = -7.0 * X(i, 59 - t);
        const TapSimilarity same = compareTaps(*m_device, statisticsOf(X), statisticsOf(Y), 5);
        QVERIFY(std::abs(same.cosine - 1.0) < 1e-12 && std::abs(same.overlap - 1.0) < 1e-9);
    }

    void wrongStatisticsAreRefused()
    {
        const TapStatistics a = statisticsOf(axes(5, {{0, 1.0}}));
        const TapStatistics b = statisticsOf(axes(4, {{0, 1.0}}));
        QVERIFY_THROWS_EXCEPTION(Error, compareTaps(*m_device, a, b, 2));
        QCOMPARE(compareTaps(*m_device, a, statisticsOf(axes(5, {{0, 0.0}})), 2).cosine, 0.0);
    }

    void spreads()
    {
        const Spread spread = spreadOf({1.0, 3.0, 5.0, 7.0});
        QCOMPARE(spread.mean, 4.0);
        QVERIFY(std::abs(spread.deviation - std::sqrt(5.0)) < 1e-15);
        QCOMPARE(spreadOf({}).mean, 0.0);
    }
};

QTEST_GUILESS_MAIN(TestSimilarity)
#include "tst_similarity.moc"
