#include "core/base/error.h"
#include "core/decomposition/method.h"
#include "reference.h"

#include <QTest>

using namespace rankwright;
using namespace reference;

namespace {

bool hasEvent(const Analysis& analysis, const std::string& kind, double value)
{
    return std::any_of(analysis.events().begin(), analysis.events().end(),
                       [&](const NumericEvent& event) { return event.kind == kind && event.value == value; });
}

/// Inputs as a compressed prefix might leave them.
Matrix<double> disturbed(const Matrix<double>& X, double kept, double noise, unsigned seed)
{
    Matrix<double> Xh = X;
    const Matrix<double> added = correlatedInputs(X.rows(), X.columns(), seed);
    for (std::size_t i = 0; i < Xh.size(); ++i)
        Xh.data()[i] = kept * Xh.data()[i] + noise * added.data()[i];
    return Xh;
}

} // namespace

/// Objectives that hold the dense outputs on the inputs of a compressed prefix: min ||W X - W_hat Xh|| (methods 23).
class TestAnchored : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    std::unique_ptr<Analysis> analyze(std::string_view method, const Matrix<double>& W, const TapStatistics* statistics,
                                      const MethodParameters& parameters = {}) const
    {
        return findMethod(method).analyze(*m_device, {"model.layers.0.self_attn.q_proj", W, statistics}, parameters);
    }

private slots:
    void anchoredWithEqualInputsIsPlain()
    {
        const Matrix<double> W = randomWeights(22, 30, 26);
        const Matrix<double> X = correlatedInputs(30, 150, 27);
        const TapStatistics plain = statisticsOf(X);
        const TapStatistics anchored = anchoredStatistics(X, X);
        for (const std::string_view method : {"whitened-svd", "nsvd"}) {
            const auto a = analyze(method, W, &plain);
            const auto b = analyze(method, W, &anchored);
            for (std::size_t r = 0; r < 22; ++r)
                QVERIFY(relative(b->loss(r), a->loss(r)) < 1e-12);
            QVERIFY(squaredNorm(difference(approximation(*a, 7), approximation(*b, 7))) < 1e-24);
        }
    }

    void anchoredEqualsTheFactorRoute()
    {
        for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{22, 30}, {30, 22}}) {
            const Matrix<double> W = randomWeights(m, n, 28);
            const Matrix<double> X = correlatedInputs(n, 200, 29);
            const Matrix<double> Xh = disturbed(X, 0.9, 0.2, 31);
            const TapStatistics statistics = anchoredStatistics(X, Xh);
            // D = W X Xh^T L^-T, W_hat = SVD_r(D) L^-1 (methods 23).
            const Matrix<double> L = cholesky(product(Xh, transposed(Xh)));
            const Matrix<double> back = inverse(L);
            const Svd direct = svd(product(product(W, statistics.crossMoment), transposed(back)));
            const auto analysis = analyze("whitened-svd", W, &statistics);
            const auto nested = analyze("nsvd", W, &statistics);
            const std::size_t full = std::min(m, n);
            for (std::size_t r = 1; r <= full; ++r) {
                const Matrix<double> expected = product(direct.truncated(r), back);
                QVERIFY(squaredNorm(difference(approximation(*analysis, r), expected)) < 1e-16 * squaredNorm(W));
                for (const auto* each : {analysis.get(), nested.get()}) {
                    const Matrix<double> W_hat = approximation(*each, r);
                    QVERIFY(relative(each->loss(r), outputError(W, X, W_hat, Xh)) < 1e-10);
                    QVERIFY(relative(measureLoss(*m_device, W, W_hat, &statistics), outputError(W, X, W_hat, Xh)) <
                            1e-10);
                }
            }
            QVERIFY(relative(analysis->totalEnergy(), squaredNorm(product(W, X))) < 1e-12);
            for (const std::string_view other : {"svd", "asvd"})
                QVERIFY_EXCEPTION_THROWN(analyze(other, W, &statistics), Error);
        }
    }

    void anchoredWithSingularInputs()
    {
        const Matrix<double> W = randomWeights(20, 32, 32);
        const Matrix<double> X = correlatedInputs(32, 18, 33);
        const Matrix<double> Xh = disturbed(X, 1.0, 0.1, 35);
        const TapStatistics statistics = anchoredStatistics(X, Xh);
        const auto analysis = analyze("whitened-svd", W, &statistics);
        QVERIFY(hasEvent(*analysis, "pseudoInverse", 18.0));
        QVERIFY(hasEvent(*analysis, "singularStatistics", 18.0));
        for (std::size_t r = 1; r <= 20; ++r) {
            const double measured = outputError(W, X, approximation(*analysis, r), Xh);
            QVERIFY(std::abs(analysis->loss(r) - measured) < 1e-10 * measured + 1e-13 * analysis->totalEnergy());
        }
        // 18 tokens and 32 channels can be fitted exactly.
        QVERIFY(analysis->loss(20) < 1e-12 * analysis->totalEnergy());
    }

    /// A channel that is zero in the dense model and holds rounding after the compressed prefix is not fitted to it,
    /// and the loss of what is stored is the one that was predicted.
    void roundingIsNoChannel()
    {
        const Matrix<double> W = randomWeights(16, 24, 61);
        Matrix<double> X = correlatedInputs(24, 60, 62);
        Matrix<double> Xh = disturbed(X, 0.9, 0.3, 63);
        for (std::size_t t = 0; t < 60; ++t) {
            X(7, t) = 0.0;
            Xh(7, t) = t % 2 == 0 ? 1e-8 : -2e-8;
        }
        const TapStatistics statistics = anchoredStatistics(X, Xh);
        for (const double ridge : {0.0, 0.3}) {
            const auto analysis = analyze("whitened-svd", W, &statistics, {{"anchorRidge", ridge}});
            for (const std::size_t r : {6UL, 16UL}) {
                const Matrix<double> W_hat = approximation(*analysis, r);
                for (const double value : W_hat.span())
                    QVERIFY(std::abs(value) < 1.0);
                QVERIFY(relative(analysis->loss(r), outputError(W, X, W_hat, Xh)) < 1e-9);
            }
        }
    }

    /// A direction that is zero but for rounding is not inverted, whether or not a Cholesky factor exists: with the
    /// eigenvalue a little above zero it does.
    void roundingIsNoDirection()
    {
        const Matrix<double> W = randomWeights(16, 24, 71);
        const Matrix<double> X = correlatedInputs(24, 90, 72);
        Matrix<double> Xh = disturbed(X, 0.9, 0.3, 73);
        const Matrix<double> noise = randomMatrix(1, 90, 74);
        for (std::size_t t = 0; t < 90; ++t)
            Xh(9, t) = Xh(4, t) + 1e-5 * noise(0, t);
        const TapStatistics statistics = anchoredStatistics(X, Xh);
        cholesky(statistics.secondMoment); // exists
        const auto analysis = analyze("whitened-svd", W, &statistics);
        QVERIFY(hasEvent(*analysis, "pseudoInverse", 23.0));
        for (const std::size_t r : {6UL, 16UL}) {
            const Matrix<double> W_hat = approximation(*analysis, r);
            QVERIFY(squaredNorm(W_hat) < 2.0 * squaredNorm(W));
            QVERIFY(relative(analysis->loss(r), outputError(W, X, W_hat, Xh)) < 1e-9);
        }
    }

    /// The ridge lambda: V = W (Cx + lambda D) (C_hat + lambda D)^-1 with D = diag(C_hat), the least
    /// ||W X - V Xh||^2 + lambda ||(V - W) D^{1/2}||^2, and truncated in the metric of C_hat.
    void ridgeHoldsTheTargetNearTheWeights()
    {
        const std::size_t m = 16;
        const std::size_t n = 24;
        const Matrix<double> W = randomWeights(m, n, 41);
        const Matrix<double> X = correlatedInputs(n, 90, 42);
        const Matrix<double> Xh = disturbed(X, 0.8, 0.3, 43);
        const TapStatistics statistics = anchoredStatistics(X, Xh);
        const Matrix<double> L = cholesky(statistics.secondMoment);
        for (const double ridge : {0.01, 0.3}) {
            Matrix<double> held = statistics.secondMoment;
            Matrix<double> cross = statistics.crossMoment;
            for (std::size_t j = 0; j < n; ++j) {
                held(j, j) += ridge * statistics.secondMoment(j, j);
                cross(j, j) += ridge * statistics.secondMoment(j, j);
            }
            const Matrix<double> V = product(product(W, cross), inverse(held));
            const Svd direct = svd(product(V, L));
            const auto analysis = analyze("whitened-svd", W, &statistics, {{"anchorRidge", ridge}});
            const auto nested = analyze("nsvd", W, &statistics, {{"anchorRidge", ridge}});
            for (std::size_t r = 1; r <= m; ++r) {
                const Matrix<double> expected = product(direct.truncated(r), inverse(L));
                QVERIFY(squaredNorm(difference(approximation(*analysis, r), expected)) < 1e-14 * squaredNorm(W));
                for (const auto* each : {analysis.get(), nested.get()})
                    QVERIFY(relative(each->loss(r), outputError(W, X, approximation(*each, r), Xh)) < 1e-10);
            }
            QVERIFY(squaredNorm(difference(approximation(*analysis, m), V)) < 1e-14 * squaredNorm(W));
        }
    }

    /// Fitted to a few tokens and measured on others, the ridge loses less than the plain fit; without bound it gives
    /// W.
    void ridgeHelpsOnUnseenInputs()
    {
        const std::size_t m = 16;
        const std::size_t n = 24;
        const Matrix<double> W = randomWeights(m, n, 51);
        const Matrix<double> X = correlatedInputs(n, 1030, 52);
        const Matrix<double> Xh = disturbed(X, 1.0, 0.2, 53);
        const auto columns = [](const Matrix<double>& all, std::size_t first, std::size_t count) {
            Matrix<double> part(all.rows(), count);
            for (std::size_t i = 0; i < all.rows(); ++i)
                std::copy_n(all.row(i) + first, count, part.row(i));
            return part;
        };
        const TapStatistics few = anchoredStatistics(columns(X, 0, 30), columns(Xh, 0, 30));
        const auto unseen = [&](double ridge) {
            const auto analysis = analyze("whitened-svd", W, &few, {{"anchorRidge", ridge}});
            return outputError(W, columns(X, 30, 1000), approximation(*analysis, m), columns(Xh, 30, 1000));
        };
        QVERIFY(unseen(0.1) < 0.8 * unseen(0.0));
        const auto free = analyze("whitened-svd", W, &few, {{"anchorRidge", 1e3}});
        QVERIFY(squaredNorm(difference(approximation(*free, m), W)) < 1e-4 * squaredNorm(W));
    }
};

QTEST_APPLESS_MAIN(TestAnchored)
#include "tst_anchored.moc"
