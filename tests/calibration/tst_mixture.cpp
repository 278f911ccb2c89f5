#include "core/base/error.h"
#include "core/calibration/curvature.h"
#include "core/calibration/mixture.h"
#include "core/compute/device.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>

using namespace rankwright;

namespace {

const std::filesystem::path demo = RANKWRIGHT_DEMO;

std::vector<std::string> tapNames(const Model& model)
{
    std::vector<std::string> names;
    for (const TapInfo& tap : model.taps())
        names.push_back(tap.name);
    return names;
}

} // namespace

/// Mixtures of the statistics of two texts of unequal length, against sums written out here.
class TestMixture : public QObject
{
    Q_OBJECT

private:
    QTemporaryDir m_folder;
    std::filesystem::path m_cache = m_folder.path().toStdString();
    Model m_model = Model::open(demo / "stories260K");
    std::shared_ptr<const Device> m_device = openDevice("cpu", 1);

    CalibrationSet moments(const std::string& text, std::size_t windows, std::size_t length = 32)
    {
        const TokenWindows cut =
            makeWindows(*m_model.tokenizer(), {.text = demo / text, .length = length, .count = windows}, {});
        return calibrate(m_model, *m_device, cut, m_cache, {}, {});
    }
    CalibrationSet mix(std::span<const WeightedSet> sets)
    {
        return mixSets(m_model, sets, tapNames(m_model), m_cache, {});
    }

private slots:
    void everyTextCountsByItsWeight()
    {
        const CalibrationSet a = moments("stories-calibration.txt", 8);
        const CalibrationSet b = moments("stories-heldout.txt", 2);
        const std::vector<WeightedSet> sets{{&a, 1.0}, {&b, 3.0}};
        const CalibrationSet mixed = mix(sets);
        QVERIFY(!mixed.reused() && mix(sets).reused());
        QCOMPARE(mixed.tokens(), std::size_t{320});
        for (const std::size_t tap : {std::size_t{0}, m_model.taps().size() - 1}) {
            const TapStatistics x = a.load(tap);
            const TapStatistics y = b.load(tap);
            const TapStatistics z = mixed.load(tap);
            QCOMPARE(z.tokens, std::size_t{320});
            // Means over tokens mix by weight: a quarter and three quarters.
            const auto mean = [](double p, double q) { return 0.25 * p / 256.0 + 0.75 * q / 64.0; };
            for (std::size_t i = 0; i < z.sum.size(); ++i) {
                QVERIFY(std::abs(z.sum[i] / 320.0 - mean(x.sum[i], y.sum[i])) < 1e-12);
                QVERIFY(std::abs(z.sumAbs[i] / 320.0 - mean(x.sumAbs[i], y.sumAbs[i])) < 1e-12);
                for (std::size_t j = 0; j < z.sum.size(); ++j)
                    QVERIFY(std::abs(z.secondMoment(i, j) / 320.0 - mean(x.secondMoment(i, j), y.secondMoment(i, j))) <
                            1e-12 * (1.0 + std::abs(z.secondMoment(i, i))));
            }
            const TapSummary& summary = mixed.summaries()[tap];
            double trace = 0.0;
            for (std::size_t i = 0; i < z.sum.size(); ++i)
                trace += z.secondMoment(i, i);
            QVERIFY(std::abs(summary.trace - trace) < 1e-12 * trace);
        }
    }

    /// Gradients carry sums of weight gradients, which mix like the rest.
    void gradientsMixWithAllTheirSums()
    {
        const auto gradients = [&](const std::string& text, std::size_t windows, bool weightMoments) {
            const TokenWindows cut =
                makeWindows(*m_model.tokenizer(), {.text = demo / text, .length = 32, .count = windows}, {});
            return calibrateCurvature(m_model, *m_device, cut, {.weightMoments = weightMoments}, m_cache, {}, {});
        };
        std::vector<std::string> names;
        for (const LinearInfo& linear : m_model.linears())
            names.push_back(linear.name);
        const CalibrationSet a = gradients("stories-calibration.txt", 6, true);
        const CalibrationSet b = gradients("stories-heldout.txt", 2, true);
        const std::vector<WeightedSet> sets{{&a, 1.0}, {&b, 3.0}};
        const CalibrationSet mixed = mixSets(m_model, sets, names, m_cache, {});
        const TapStatistics x = a.load(2);
        const TapStatistics y = b.load(2);
        const TapStatistics z = mixed.load(2);
        const auto mean = [](double p, double q) { return 0.25 * p / 192.0 + 0.75 * q / 64.0; };
        const auto equal = [&](std::span<const double> p, std::span<const double> q, std::span<const double> both) {
            double largest = 0.0;
            for (const double value : both)
                largest = std::max(largest, std::abs(value));
            for (std::size_t i = 0; i < both.size(); ++i)
                if (std::abs(both[i] / 256.0 - mean(p[i], q[i])) > 1e-12 * largest)
                    return false;
            return largest > 0.0 && p.size() == both.size();
        };
        QVERIFY(equal(x.secondMoment.span(), y.secondMoment.span(), z.secondMoment.span()));
        QVERIFY(equal(x.weightSquares, y.weightSquares, z.weightSquares));
        QVERIFY(equal(x.weightInputs.span(), y.weightInputs.span(), z.weightInputs.span()));
        QVERIFY(equal(x.weightOutputs.span(), y.weightOutputs.span(), z.weightOutputs.span()));
        const CalibrationSet without = gradients("stories-heldout.txt", 2, false);
        QVERIFY_THROWS_EXCEPTION(
            Error, mixSets(m_model, std::vector<WeightedSet>{{&a, 1.0}, {&without, 3.0}}, names, m_cache, {}));
    }

    void weighedByTokensIsOneText()
    {
        // The first 4 and the next 4 windows of a text, weighed by their tokens, are its first 8.
        const TokenWindows all =
            makeWindows(*m_model.tokenizer(), {.text = demo / "stories-calibration.txt", .length = 32, .count = 8}, {});
        TokenWindows rest = all;
        rest.ids.erase(rest.ids.begin(), rest.ids.begin() + 4);
        rest.offsets.erase(rest.offsets.begin(), rest.offsets.begin() + 4);
        rest.fingerprint = "the last four";
        const CalibrationSet first = moments("stories-calibration.txt", 4);
        const CalibrationSet last = calibrate(m_model, *m_device, rest, m_cache, {}, {});
        const CalibrationSet whole = calibrate(m_model, *m_device, all, m_cache, {}, {});
        const CalibrationSet mixed = mix(std::vector<WeightedSet>{{&first, 5.0}, {&last, 5.0}});
        const TapStatistics x = whole.load(3);
        const TapStatistics y = mixed.load(3);
        double largest = 0.0;
        for (std::size_t i = 0; i < x.sum.size(); ++i)
            largest = std::max(largest, x.secondMoment(i, i));
        // Products of a few windows at a time are summed in float32, and the windows are grouped otherwise here.
        for (std::size_t i = 0; i < x.secondMoment.size(); ++i)
            QVERIFY(std::abs(x.secondMoment.data()[i] - y.secondMoment.data()[i]) < 1e-6 * largest);
    }

    void oneTextStaysItself()
    {
        const CalibrationSet a = moments("stories-calibration.txt", 8);
        QCOMPARE(mix(std::vector<WeightedSet>{{&a, 0.3}}).fingerprint(), a.fingerprint());
        QCOMPARE(mixtureFingerprint(std::vector<std::string>{"a"}, std::vector<double>{2.0}), std::string("a"));
        const std::vector<std::string> two{"a", "b"};
        const auto key = [&](double x, double y) { return mixtureFingerprint(two, std::vector<double>{x, y}); };
        QCOMPARE(key(1.0, 2.0), key(2.0, 4.0)); // only ratios count
        QVERIFY(key(1.0, 2.0) != key(2.0, 1.0));
    }

    void refusesWhatDoesNotFit()
    {
        const CalibrationSet a = moments("stories-calibration.txt", 8);
        const CalibrationSet longer = moments("stories-heldout.txt", 2, 64);
        QVERIFY_THROWS_EXCEPTION(Error, mix({}));
        QVERIFY_THROWS_EXCEPTION(Error, mix(std::vector<WeightedSet>{{&a, 1.0}, {&longer, 1.0}}));
        for (const double weight : {0.0, -1.0, std::nan(""), HUGE_VAL})
            QVERIFY_THROWS_EXCEPTION(Error, mix(std::vector<WeightedSet>{{&a, 1.0}, {&a, weight}}));
    }
};

QTEST_GUILESS_MAIN(TestMixture)
#include "tst_mixture.moc"
