#include "core/base/error.h"
#include "core/decomposition/method.h"
#include "reference.h"

#include <QTest>

using namespace rankwright;
using namespace reference;

namespace {

std::vector<float> someBias(std::size_t rows, unsigned seed)
{
    const Matrix<double> values = randomMatrix(rows, 1, seed);
    return {values.data(), values.data() + rows};
}

std::vector<const Method*> updatingMethods()
{
    std::vector<const Method*> result;
    for (const Method* method : methods())
        for (const ParameterInfo& info : method->parameters())
            if (info.name == biasUpdateParameter)
                result.push_back(method);
    return result;
}

const MethodParameters update{{std::string(biasUpdateParameter), 1.0}};

/// Principal components of the outputs Y = W X + b (AFM, methods 8): y_hat = U U^T (y - mean) + mean.
struct OutputComponents
{
    Matrix<double> centred;
    std::vector<double> mean;
    Svd svd;

    OutputComponents(const Matrix<double>& W, const std::vector<float>& b, const Matrix<double>& X)
        : centred(product(W, X))
        , mean(W.rows())
    {
        for (std::size_t i = 0; i < centred.rows(); ++i) {
            for (std::size_t t = 0; t < X.columns(); ++t)
                mean[i] += (centred(i, t) + static_cast<double>(b[i])) / static_cast<double>(X.columns());
            for (std::size_t t = 0; t < X.columns(); ++t)
                centred(i, t) += static_cast<double>(b[i]) - mean[i];
        }
        svd = reference::svd(centred);
    }
};

} // namespace

class TestBiasUpdate : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

private slots:
    void equalsAtomicFeatureMimicking_data()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::newRow("wide") << 18 << 30;
        QTest::newRow("tall") << 30 << 18;
    }
    void equalsAtomicFeatureMimicking()
    {
        QFETCH(int, rows);
        QFETCH(int, columns);
        const auto m = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(columns);
        const Matrix<double> W = randomWeights(m, n, 1);
        const std::vector<float> b = someBias(m, 2);
        const Matrix<double> X = shiftedInputs(n, 200, 3);
        const TapStatistics statistics = statisticsOf(X);
        const OutputComponents components(W, b, X);
        const LinearProblem problem{"x", W, &statistics, b};
        const auto whitened = findMethod("whitened-svd").analyze(*m_device, problem, {});
        const auto updated = findMethod("whitened-svd").analyze(*m_device, problem, update);
        const auto preset = findMethod("afm").analyze(*m_device, problem, {});
        QVERIFY(relative(updated->totalEnergy(), squaredNorm(components.centred)) < 1e-11);
        for (std::size_t r = 1; r < std::min(m, n); ++r) {
            const Factorisation factors = updated->factorize(r);
            const Matrix<double> V = product(factors.B, factors.A);
            QVERIFY(relative(updated->loss(r), components.svd.tail(r)) < 1e-9);
            QVERIFY(relative(preset->loss(r), updated->loss(r)) < 1e-14);
            QVERIFY(relative(outputError(W, b, X, V, factors.bias, X), updated->loss(r)) < 1e-9);
            QVERIFY(relative(measureLoss(*m_device, W, V, &statistics, changeOf(b, factors.bias)), updated->loss(r)) <
                    1e-9);
            QVERIFY(updated->loss(r) <= whitened->loss(r));
            // y_hat of every token.
            const Matrix<double> expected = components.svd.truncated(r);
            const Matrix<double> found = product(V, X);
            for (std::size_t i = 0; i < m; ++i)
                for (std::size_t t = 0; t < X.columns(); ++t)
                    QVERIFY(std::abs(found(i, t) + factors.bias[i] - expected(i, t) - components.mean[i]) < 1e-9);
        }
    }

    void theBiasOfEveryMethodIsTheBest()
    {
        const Matrix<double> W = randomWeights(16, 24, 5);
        const Matrix<double> X = shiftedInputs(24, 150, 6);
        Matrix<double> Xh = X;
        const Matrix<double> noise = shiftedInputs(24, 150, 8);
        for (std::size_t i = 0; i < Xh.size(); ++i)
            Xh.data()[i] = 0.9 * Xh.data()[i] + 0.2 * noise.data()[i];
        const TapStatistics plain = statisticsOf(X);
        const TapStatistics anchored = anchoredStatistics(X, Xh);
        QVERIFY(updatingMethods().size() >= 5);
        for (const std::vector<float>& b : {someBias(16, 9), std::vector<float>()}) {
            for (const Method* method : updatingMethods()) {
                for (const bool shifted : {false, true}) {
                    if (shifted && !method->supportsAnchored())
                        continue;
                    const auto analysis = method->analyze(*m_device, {"x", W, shifted ? &anchored : &plain, b}, update);
                    for (const std::size_t r : {1UL, 5UL, 16UL}) {
                        const Factorisation factors = analysis->factorize(r);
                        const Matrix<double> V = sumOf(factors.B, factors.A, factors.sparse);
                        const Matrix<double>& inputs = shifted ? Xh : X;
                        const double least = outputError(W, b, X, V, factors.bias, inputs);
                        QVERIFY(std::abs(analysis->loss(r) - least) <= 1e-9 * least + 1e-12 * analysis->totalEnergy());
                        const double energy = analysis->totalEnergy();
                        for (std::size_t i = 0; i < 16; ++i)
                            for (const double step : {0.3, -1e-2}) {
                                std::vector<double> other = factors.bias;
                                other[i] += step;
                                QVERIFY(outputError(W, b, X, V, other, inputs) > least);
                                const double measured =
                                    measureLoss(*m_device, W, V, shifted ? &anchored : &plain, changeOf(b, other));
                                QVERIFY(std::abs(measured - outputError(W, b, X, V, other, inputs)) < 1e-10 * energy);
                            }
                    }
                }
            }
        }
    }

    void anchoredWithEqualInputsIsPlain()
    {
        const Matrix<double> W = randomWeights(14, 20, 11);
        const std::vector<float> b = someBias(14, 12);
        const Matrix<double> X = shiftedInputs(20, 90, 13);
        const TapStatistics plain = statisticsOf(X);
        const TapStatistics anchored = anchoredStatistics(X, X);
        const auto one = findMethod("afm").analyze(*m_device, {"x", W, &plain, b}, {});
        const auto other = findMethod("afm").analyze(*m_device, {"x", W, &anchored, b}, {});
        for (std::size_t r = 1; r < 14; ++r) {
            QVERIFY(relative(other->loss(r), one->loss(r)) < 1e-9);
            const Factorisation a = one->factorize(r);
            const Factorisation c = other->factorize(r);
            for (std::size_t i = 0; i < 14; ++i)
                QVERIFY(std::abs(a.bias[i] - c.bias[i]) < 1e-9);
        }
    }

    void aBiasIsWorthAtMostOneRank()
    {
        // Y = centred Y + mean 1^T, and the last term has rank one: the singular values interlace.
        const Matrix<double> W = randomWeights(12, 20, 15);
        for (const double spread : {1.0, 1e-3}) {
            Matrix<double> X = correlatedInputs(20, 120, 16);
            const Matrix<double> means = randomMatrix(20, 1, 17);
            for (std::size_t i = 0; i < 20; ++i)
                for (std::size_t t = 0; t < 120; ++t)
                    X(i, t) = spread * X(i, t) + means(i, 0);
            const TapStatistics statistics = statisticsOf(X);
            const auto updated = findMethod("afm").analyze(*m_device, {"x", W, &statistics}, {});
            const auto whitened = findMethod("whitened-svd").analyze(*m_device, {"x", W, &statistics}, {});
            for (std::size_t r = 0; r + 2 < 12; ++r) {
                QVERIFY(updated->loss(r + 1) <= whitened->loss(r + 1) * (1.0 + 1e-6));
                QVERIFY(whitened->loss(r + 1) <= updated->loss(r) * (1.0 + 1e-6));
            }
            // Where means dominate, the bias takes a whole rank's place.
            if (spread < 1.0)
                QVERIFY(updated->loss(3) < 0.999 * whitened->loss(3) && updated->loss(0) < 1e-4 * whitened->loss(0));
        }
    }

    void biasesAreKeptWhereTheyStayAndRefusedWhereTheyCannotBe()
    {
        const Matrix<double> W = randomWeights(10, 14, 19);
        const TapStatistics statistics = statisticsOf(shiftedInputs(14, 60, 20));
        for (const Method* method : updatingMethods()) {
            const auto analysis = method->analyze(*m_device, {"x", W, &statistics, someBias(10, 21)},
                                                  {{std::string(biasUpdateParameter), 0.0}});
            QVERIFY(analysis->factorize(3).bias.empty());
            for (const TapStatistics* given : {static_cast<const TapStatistics*>(nullptr), &statistics}) {
                TapStatistics damaged = statistics;
                damaged.sum.pop_back();
                QVERIFY_THROWS_EXCEPTION(
                    Error, method->analyze(*m_device, {"x", W, given == nullptr ? nullptr : &damaged}, update));
            }
            QVERIFY(needsStatistics(*method, update));
        }
        QVERIFY(!needsStatistics(findMethod("svd"), {}));
        const auto stored =
            storeFactorisation(*m_device, findMethod("afm").analyze(*m_device, {"x", W, &statistics}, {})->factorize(4),
                               StructureKind::BlockIdentity, DType::BF16);
        QCOMPARE(stored.bias.size(), std::size_t{10});
    }

private:
    static std::vector<double> changeOf(const std::vector<float>& b, std::vector<double> stored)
    {
        for (std::size_t i = 0; i < b.size(); ++i)
            stored[i] -= static_cast<double>(b[i]);
        return stored;
    }
};

QTEST_GUILESS_MAIN(TestBiasUpdate)
#include "tst_bias_update.moc"
