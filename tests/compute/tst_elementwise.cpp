#include "core/compute/elementwise.h"
#include "tests/compute/random_matrix.h"

#include <QTest>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

using namespace rankwright;
using test::Numbers;

namespace {

const float infinity = std::numeric_limits<float>::infinity();
const float notANumber = std::numeric_limits<float>::quiet_NaN();

std::vector<float> randomValues(std::size_t count, double size, std::uint64_t seed)
{
    Numbers numbers(seed);
    std::vector<float> values(count);
    for (float& value : values)
        value = static_cast<float>(size * numbers.next());
    return values;
}

double logSumExp(const std::vector<float>& x, double scale = 1)
{
    double largest = -std::numeric_limits<double>::infinity();
    for (const float value : x)
        largest = std::max(largest, scale * static_cast<double>(value));
    double sum = 0;
    for (const float value : x)
        sum += std::exp(scale * static_cast<double>(value) - largest);
    return largest + std::log(sum);
}

double relative(double value, double reference)
{
    return value == reference ? 0 : std::abs(value - reference) / std::abs(reference);
}

} // namespace

class TestElementwise : public QObject
{
    Q_OBJECT

    void lengths()
    {
        QTest::addColumn<int>("length");
        for (const int length : {1, 2, 7, 8, 15, 16, 17, 33, 100, 256, 257, 1000, 4097})
            QTest::addRow("%d", length) << length;
    }

private slots:
    void rmsNormEqualsTheDefinition_data() { lengths(); }
    void rmsNormEqualsTheDefinition()
    {
        QFETCH(int, length);
        const auto n = static_cast<std::size_t>(length);
        const auto x = randomValues(n, 30, 1);
        const auto weight = randomValues(n, 2, 2);
        std::vector<float> y(n);
        rmsNorm(x, weight, 1e-5F, y);
        double squares = 0;
        for (const float value : x)
            squares += static_cast<double>(value) * static_cast<double>(value);
        const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
        for (std::size_t i = 0; i < n; ++i)
            QVERIFY(relative(static_cast<double>(y[i]),
                             static_cast<double>(x[i]) * scale * static_cast<double>(weight[i])) < 5e-7);
        std::vector<float> inPlace = x;
        rmsNorm(inPlace, weight, 1e-5F, inPlace);
        QCOMPARE(inPlace, y);
    }

    void layerNormEqualsTheDefinition_data() { lengths(); }
    void layerNormEqualsTheDefinition()
    {
        QFETCH(int, length);
        const auto n = static_cast<std::size_t>(length);
        auto x = randomValues(n, 30, 1);
        for (float& value : x)
            value += 100; // a mean far from zero, which must not cost digits of the variance
        const auto weight = randomValues(n, 2, 2);
        const auto bias = randomValues(n, 2, 3);
        std::vector<float> y(n);
        layerNorm(x, weight, bias, 1e-5F, y);
        double mean = 0;
        for (const float value : x)
            mean += static_cast<double>(value) / static_cast<double>(n);
        double variance = 0;
        for (const float value : x)
            variance += std::pow(static_cast<double>(value) - mean, 2) / static_cast<double>(n);
        const double scale = 1 / std::sqrt(variance + 1e-5);
        for (std::size_t i = 0; i < n; ++i) {
            const double expected = (static_cast<double>(x[i]) - mean) * scale * static_cast<double>(weight[i]) +
                                    static_cast<double>(bias[i]);
            // The mean is rounded to float32: 130 * 2^-24 before it is scaled; so is every term of the sum.
            const double bound =
                1e-6 * (1 + std::abs(expected)) + 130 * 6e-8 * scale * std::abs(static_cast<double>(weight[i]));
            QVERIFY(std::abs(static_cast<double>(y[i]) - expected) < bound);
        }
        std::vector<float> inPlace = x;
        layerNorm(inPlace, weight, bias, 1e-5F, inPlace);
        QCOMPARE(inPlace, y);
    }

    void activationsEqualTheirDefinitions_data() { lengths(); }
    void activationsEqualTheirDefinitions()
    {
        QFETCH(int, length);
        const auto x = randomValues(static_cast<std::size_t>(length), 12, 4);
        auto positive = x;
        relu(positive);
        auto gelu = x;
        geluTanh(gelu);
        auto swish = x;
        silu(swish);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const auto v = static_cast<double>(x[i]);
            QCOMPARE(positive[i], std::max(x[i], 0.0F));
            QVERIFY(relative(static_cast<double>(swish[i]), v / (1 + std::exp(-v))) < 1e-6);
            // tanh loses digits of 1 + tanh(z) where z is far below zero: absolute there.
            const double expected =
                0.5 * v * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v)));
            QVERIFY(std::abs(static_cast<double>(gelu[i]) - expected) < 1e-6 * (1e-3 + std::abs(expected)));
        }
    }

    void activationsAtTheEdges()
    {
        std::vector<float> values{1e30F, -1e30F, infinity, 0.0F, notANumber};
        auto positive = values;
        relu(positive);
        QCOMPARE(std::vector<float>(positive.begin(), positive.end() - 1), (std::vector{1e30F, 0.0F, infinity, 0.0F}));
        auto gelu = values;
        geluTanh(gelu);
        QCOMPARE(gelu[0], 1e30F);
        QCOMPARE(gelu[1], 0.0F);
        QCOMPARE(gelu[3], 0.0F);
        auto swish = values;
        silu(swish);
        QCOMPARE(swish[0], 1e30F);
        QCOMPARE(swish[1], 0.0F);
        for (const float value : {positive[4], gelu[4], swish[4]})
            QVERIFY(std::isnan(value));
    }

    void siluEqualsTheDefinition_data() { lengths(); }
    void siluEqualsTheDefinition()
    {
        QFETCH(int, length);
        const auto n = static_cast<std::size_t>(length);
        for (const double size : {1.0, 20.0, 80.0}) {
            auto gate = randomValues(n, size, 3);
            const auto before = gate;
            const auto up = randomValues(n, 1, 4);
            siluTimes(gate, up);
            for (std::size_t i = 0; i < n; ++i) {
                const auto v = static_cast<double>(before[i]);
                const double expected = v / (1 + std::exp(-v)) * static_cast<double>(up[i]);
                QVERIFY2(relative(static_cast<double>(gate[i]), expected) < 5e-7, qPrintable(QString::number(v)));
            }
        }
    }

    void siluOfExtremesIsFiniteOrHonest()
    {
        std::vector<float> gate = {0.0F, -0.0F, 200.0F, -200.0F, 3e38F, -3e38F, infinity, notANumber};
        const std::vector<float> up(gate.size(), 1.0F);
        siluTimes(gate, up);
        QCOMPARE(gate[0], 0.0F);
        QCOMPARE(gate[1], 0.0F);
        QCOMPARE(gate[2], 200.0F);
        QCOMPARE(gate[3], 0.0F);
        QCOMPARE(gate[4], 3e38F);
        QCOMPARE(gate[5], 0.0F);
        QCOMPARE(gate[6], infinity);
        QVERIFY(std::isnan(gate[7]));
    }

    void softmaxEqualsTheDefinition_data() { lengths(); }
    void softmaxEqualsTheDefinition()
    {
        QFETCH(int, length);
        const auto n = static_cast<std::size_t>(length);
        for (const float scale : {0.125F, 1.0F, -0.5F}) {
            auto x = randomValues(n, 40, 5);
            const auto before = x;
            softmax(x, scale);
            const double normaliser = logSumExp(before, static_cast<double>(scale));
            double sum = 0;
            for (std::size_t i = 0; i < n; ++i) {
                const double expected =
                    std::exp(static_cast<double>(scale) * static_cast<double>(before[i]) - normaliser);
                // scale * x is rounded to float32 before the exponential: 20 * 2^-24 relative, and the sum once more.
                QVERIFY(relative(static_cast<double>(x[i]), expected) < 6e-6);
                sum += static_cast<double>(x[i]);
            }
            QVERIFY(std::abs(sum - 1) < 1e-6);
        }
    }

    void exponentialIsExactToSevenDigits()
    {
        // Two values, one of them 0: the other is exp(v) / (1 + exp(v)), exact where v is representable.
        double worst = 0;
        for (int step = 1; step < 87 * 64; ++step) {
            const float v = -static_cast<float>(step) / 64.0F;
            std::vector<float> x = {0.0F, v};
            softmax(x, 1.0F);
            const double e = std::exp(static_cast<double>(v));
            worst = std::max(worst, relative(static_cast<double>(x[1]), e / (1 + e)));
        }
        QVERIFY2(worst < 2.5e-7, qPrintable(QString::number(worst)));
    }

    void softmaxOfExtremes()
    {
        std::vector<float> masked = {1.0F, -infinity, 1.0F, -infinity};
        softmax(masked, 1.0F);
        QCOMPARE(masked, (std::vector<float>{0.5F, 0.0F, 0.5F, 0.0F}));
        std::vector<float> far = {3e38F, -3e38F, 0.0F};
        softmax(far, 1.0F);
        QCOMPARE(far, (std::vector<float>{1.0F, 0.0F, 0.0F}));
        std::vector<float> bad(40, 1.0F);
        bad[3] = notANumber;
        softmax(bad, 1.0F);
        QVERIFY(std::isnan(bad[0]) && std::isnan(bad[39]));
        softmax({}, 1.0F);
    }

    void likelihoodEqualsTheDefinition_data() { lengths(); }
    void likelihoodEqualsTheDefinition()
    {
        QFETCH(int, length);
        const auto n = static_cast<std::size_t>(length);
        for (const double size : {0.1, 15.0, 300.0}) {
            const auto x = randomValues(n, size, 6);
            const double normaliser = logSumExp(x);
            auto logProbabilities = x;
            logSoftmax(logProbabilities);
            for (const std::size_t target : {std::size_t{0}, n / 2, n - 1}) {
                const double expected = normaliser - static_cast<double>(x[target]);
                QVERIFY(std::abs(negativeLogLikelihood(x, target) - expected) < 3e-7);
                QVERIFY(std::abs(static_cast<double>(logProbabilities[target]) + expected) <
                        3e-7 + 6.1e-8 * std::abs(expected));
            }
        }
    }

    void likelihoodIsNotFiniteWhereTheInputIsNot()
    {
        for (const float bad : {notANumber, infinity, -infinity})
            for (const std::size_t place : {std::size_t{0}, std::size_t{20}, std::size_t{49}}) {
                auto x = randomValues(50, 3, 7);
                x[place] = bad;
                QVERIFY(!std::isfinite(negativeLogLikelihood(x, 30)));
                QVERIFY(!std::isfinite(negativeLogLikelihood(x, place)));
            }
        QCOMPARE(negativeLogLikelihood(std::vector<float>{-2.5F}, 0), 0.0);
    }

    void rotationTurnsEveryPair()
    {
        for (const std::size_t half : {std::size_t{1}, std::size_t{4}, std::size_t{32}, std::size_t{37}}) {
            auto head = randomValues(2 * half, 1, 8);
            const auto before = head;
            std::vector<float> cosines(half);
            std::vector<float> sines(half);
            for (std::size_t j = 0; j < half; ++j) {
                cosines[j] = std::cos(0.3F * static_cast<float>(j + 1));
                sines[j] = std::sin(0.3F * static_cast<float>(j + 1));
            }
            rotateHalves(head, cosines, sines);
            for (std::size_t j = 0; j < half; ++j) {
                const double a = static_cast<double>(before[j]);
                const double b = static_cast<double>(before[j + half]);
                const auto c = static_cast<double>(cosines[j]);
                const auto s = static_cast<double>(sines[j]);
                QVERIFY(std::abs(static_cast<double>(head[j]) - (a * c - b * s)) < 2e-7);
                QVERIFY(std::abs(static_cast<double>(head[j + half]) - (b * c + a * s)) < 2e-7);
            }
        }
    }

    void sumsAreExact_data() { lengths(); }
    void sumsAreExact()
    {
        QFETCH(int, length);
        const auto n = static_cast<std::size_t>(length);
        const auto x = randomValues(n, 5, 9);
        auto y = randomValues(n, 5, 10);
        const auto before = y;
        addTo(x, y);
        std::vector<double> sum(n, 1.0);
        std::vector<double> sumAbs(n, 2.0);
        addSums(x, sum, sumAbs);
        for (std::size_t i = 0; i < n; ++i) {
            QCOMPARE(std::bit_cast<std::uint32_t>(y[i]), std::bit_cast<std::uint32_t>(before[i] + x[i]));
            QVERIFY(sum[i] == 1.0 + static_cast<double>(x[i]));
            QVERIFY(sumAbs[i] == 2.0 + std::abs(static_cast<double>(x[i])));
        }
    }

    void everyNonFiniteValueIsFound_data() { lengths(); }
    void everyNonFiniteValueIsFound()
    {
        QFETCH(int, length);
        const auto n = static_cast<std::size_t>(length);
        std::vector<float> x(n, 3e38F);
        std::vector<double> d(n, -1e308);
        QVERIFY(allFinite(x));
        QVERIFY(allFinite(d));
        for (std::size_t place = 0; place < n; place += n < 300 ? 1 : 37)
            for (const float bad : {notANumber, infinity, -infinity}) {
                x[place] = bad;
                d[place] = static_cast<double>(bad);
                QVERIFY(!allFinite(x));
                QVERIFY(!allFinite(d));
                x[place] = 1e-45F;
                d[place] = 0.0;
            }
        QVERIFY(allFinite(x));
        QVERIFY(allFinite(d));
        QVERIFY(allFinite(std::span<const float>()));
    }
};

QTEST_GUILESS_MAIN(TestElementwise)
#include "tst_elementwise.moc"
