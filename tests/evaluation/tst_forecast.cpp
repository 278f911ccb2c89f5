#include "core/evaluation/forecast_check.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <random>

using namespace rankwright;

namespace {

constexpr std::size_t vocabulary = 50000;
constexpr double dense = 20.0;

/// The increase that a factor predicts, and its perplexity, as forecast.h defines both.
double perplexityOf(double factorTimesNats, double original = dense)
{
    const double ceiling = std::log(static_cast<double>(vocabulary) / original);
    return original * std::exp(ceiling * (1.0 - std::exp(-factorTimesNats / ceiling)));
}

ForecastPoint point(std::int64_t run, double nats, double factor, const std::string& text = "wiki",
                    const std::string& model = "llama", const std::string& method = "whitened-svd")
{
    return {run, model, text, method, nats, dense, perplexityOf(factor * nats), vocabulary};
}

Forecaster forecaster(std::vector<ForecastPoint> points, const std::string& text = "wiki")
{
    return {std::move(points), "llama", text, "whitened-svd", dense, vocabulary};
}

bool close(double a, double b, double tolerance)
{
    return std::abs(a - b) <= tolerance * std::abs(b);
}

} // namespace

class TestForecast : public QObject
{
    Q_OBJECT

private slots:
    void withoutRunsThePriorIsSaid()
    {
        const Forecast forecast = forecaster({}).at(0.1);
        QCOMPARE(forecast.basis, ForecastBasis::Prior);
        QVERIFY(forecastState(forecast).starts_with("uncalibrated"));
        QVERIFY(close(forecast.perplexity, perplexityOf(0.3), 1e-12));
        QVERIFY(forecast.low < forecast.perplexity && forecast.perplexity < forecast.high);
    }

    void nothingLostIsNothingGained()
    {
        const Forecast forecast = forecaster({point(1, 0.1, 2.0)}).at(0.0);
        QCOMPARE(forecast.perplexity, dense);
        QCOMPARE(forecast.low, dense);
        QCOMPARE(forecast.high, dense);
        QVERIFY(std::isnan(forecaster({}).at(std::nan("")).perplexity));
        QVERIFY(forecaster({}).at(1e6).high <= static_cast<double>(vocabulary) * (1.0 + 1e-12));
    }

    void runsCalibrate()
    {
        // A factor far from the prior: one run moves the forecast most of the way and narrows it, more runs finish it.
        const Forecast none = forecaster({}).at(0.1);
        const Forecast one = forecaster({point(1, 0.1, 1.5)}).at(0.1);
        std::vector<ForecastPoint> many;
        for (int i = 0; i < 12; ++i)
            many.push_back(point(i + 1, 0.02 * (i + 1), 1.5));
        const Forecast all = forecaster(many).at(0.1);
        const double truth = perplexityOf(0.15);
        const auto off = [&](const Forecast& forecast) { return std::abs(std::log(forecast.perplexity / truth)); };
        const auto width = [](const Forecast& forecast) { return std::log(forecast.high / forecast.low); };
        QVERIFY(off(one) < 0.25 * off(none) && off(all) < 0.1 * off(none));
        QVERIFY(width(one) < 0.7 * width(none) && width(all) < 0.7 * width(one));
        QCOMPARE(one.runs, std::size_t{1});
        QCOMPARE(all.runs, std::size_t{12});
        QCOMPARE(all.basis, ForecastBasis::Text);
        for (double nats = 0.01; nats < 1.0; nats *= 1.1)
            QVERIFY(forecaster(many).at(nats).perplexity < forecaster(many).at(nats * 1.1).perplexity);
    }

    void basisIsTheNearest()
    {
        const ForecastPoint otherModel = point(1, 0.1, 2.0, "wiki", "opt");
        const ForecastPoint otherText = point(2, 0.1, 2.0, "shakespeare");
        const ForecastPoint same = point(3, 0.1, 2.0);
        QCOMPARE(forecaster({otherModel}).at(0.1).basis, ForecastBasis::OtherModels);
        QCOMPARE(forecaster({otherModel, otherText}).at(0.1).basis, ForecastBasis::OtherTexts);
        const Forecast forecast = forecaster({same, otherModel, otherText}).at(0.1);
        QCOMPARE(forecast.basis, ForecastBasis::Text);
        QCOMPARE(forecast.runs, std::size_t{1});
        // The nearer, the more certain.
        const auto width = [](const Forecast& f) { return std::log(f.high / f.low); };
        QVERIFY(width(forecaster({same}).at(0.1)) < width(forecaster({otherText}).at(0.1)));
        QVERIFY(width(forecaster({otherText}).at(0.1)) < width(forecaster({otherModel}).at(0.1)));
        QVERIFY(width(forecaster({otherModel}).at(0.1)) < width(forecaster({}).at(0.1)));
        for (const ForecastBasis basis :
             {ForecastBasis::Prior, ForecastBasis::OtherModels, ForecastBasis::OtherTexts, ForecastBasis::Text})
            QCOMPARE(forecastBasisFromName(forecastBasisName(basis)), basis);
    }

    /// Whether the solved Gaussian process is what Bayes' rule gives: the posterior of offset and slope of one text
    /// and method on a grid, by plain sums.
    void equalsBayesOnAGrid()
    {
        const std::vector<ForecastPoint> points{point(1, 0.05, 2.0), point(2, 0.2, 2.3), point(3, 0.5, 2.1)};
        const double nats = 0.1;
        // Sums of independent parts: variances of offset and slope are the sums of the parts' variances.
        const double offsetVariance = 0.25 + 0.09 + 0.16 + 0.09;
        const double slopeVariance = 4 * 0.01;
        const auto transformed = [](const ForecastPoint& p) {
            const double ceiling = std::log(static_cast<double>(vocabulary) / p.original);
            return std::log(-ceiling * std::log(1.0 - std::log(p.compressed / p.original) / ceiling));
        };
        const auto gridMean = [&](double noise) {
            double weights = 0.0;
            double sum = 0.0;
            for (double a = -3.0; a <= 3.0; a += 0.005)
                for (double b = -1.0; b <= 1.0; b += 0.005) {
                    double exponent = a * a / offsetVariance + b * b / slopeVariance;
                    for (const ForecastPoint& p : points) {
                        const double x = std::log(p.nats / 0.1);
                        const double residual = transformed(p) - (std::log(0.3) + x + a + b * x);
                        exponent += residual * residual / (noise * noise);
                    }
                    const double weight = std::exp(-0.5 * exponent);
                    weights += weight;
                    sum += weight * (std::log(0.3) + a);
                }
            return sum / weights;
        };
        const double forecast = forecaster(points).at(nats).perplexity;
        double nearest = 1.0;
        for (const double noise : {0.05, 0.1, 0.2, 0.4})
            nearest = std::min(nearest, std::abs(forecast / perplexityOf(std::exp(gridMean(noise))) - 1.0));
        QVERIFY2(nearest < 1e-4, qPrintable(QString::number(nearest)));
    }

    void spreadCoversAsItSays()
    {
        std::mt19937_64 random(5);
        std::normal_distribution<double> normal;
        std::uniform_real_distribution<double> exponent(-4.0, 0.5);
        int covered = 0;
        constexpr int rounds = 400;
        for (int round = 0; round < rounds; ++round) {
            const double offset = 0.6 * normal(random);
            const double slope = 1.0 + 0.15 * normal(random);
            const auto drawn = [&](std::int64_t run) {
                const double nats = std::exp(exponent(random));
                const double y = std::log(0.3) + offset + slope * std::log(nats / 0.1) + 0.2 * normal(random);
                return ForecastPoint{run,       "llama", "wiki", "whitened-svd", nats, dense, perplexityOf(std::exp(y)),
                                     vocabulary};
            };
            std::vector<ForecastPoint> points;
            for (int i = 0; i < round % 8; ++i)
                points.push_back(drawn(i + 1));
            const ForecastPoint next = drawn(100);
            const Forecast forecast = forecaster(points).at(next.nats);
            covered += forecast.low <= next.compressed && next.compressed <= forecast.high ? 1 : 0;
        }
        // 90 % were meant; three standard errors of 400 draws are 4.5 %, and the noise has to be found.
        QVERIFY2(covered > 0.84 * rounds && covered < 0.96 * rounds, qPrintable(QString::number(covered)));
    }

    void whatSaysNothingIsLeftOut()
    {
        const double nothing = std::nan("");
        ForecastPoint collapsed = point(9, 5.0, 3.0);
        collapsed.compressed = 0.99 * vocabulary;
        ForecastPoint better = point(8, 0.1, 2.0);
        better.compressed = 0.9 * dense;
        ForecastPoint unknown = point(7, 0.1, 2.0);
        unknown.nats = nothing;
        ForecastPoint infinite = point(6, 0.1, 2.0);
        infinite.compressed = HUGE_VAL;
        const Forecast forecast = forecaster({collapsed, better, unknown, infinite}).at(0.1);
        QCOMPARE(forecast.basis, ForecastBasis::Prior);
        QCOMPARE(forecast.perplexity, forecaster({}).at(0.1).perplexity);
    }

    void orderDoesNotCount()
    {
        std::vector<ForecastPoint> points;
        for (int i = 0; i < 6; ++i)
            points.push_back(point(i + 1, 0.05 * (i + 1), 2.0 + 0.2 * i, i % 2 == 0 ? "wiki" : "shakespeare"));
        const double before = forecaster(points).at(0.1).perplexity;
        std::ranges::reverse(points);
        QCOMPARE(forecaster(points).at(0.1).perplexity, before);
    }

    void checksLeaveOutWhatTheySay()
    {
        std::vector<ForecastPoint> points;
        for (int i = 0; i < 5; ++i) {
            points.push_back(point(i + 1, 0.05 * (i + 1), 2.0));
            points.push_back(point(i + 1, 0.05 * (i + 1), 4.0, "shakespeare"));
            points.push_back(point(i + 10, 0.05 * (i + 1), 1.0, "wiki", "opt"));
        }
        const auto byRun = checkForecasts(points, LeftOut::Run);
        QCOMPARE(byRun.size(), points.size());
        QCOMPARE(byRun[0].forecast.basis, ForecastBasis::Text);
        QCOMPARE(byRun[0].forecast.runs, std::size_t{4});
        QCOMPARE(checkForecasts(points, LeftOut::Text)[0].forecast.basis, ForecastBasis::OtherTexts);
        const auto byModel = checkForecasts(points, LeftOut::Model);
        QCOMPARE(byModel[0].forecast.basis, ForecastBasis::OtherModels);
        QCOMPARE(byModel[0].forecast.runs, std::size_t{5});
        QVERIFY(forecastErrors(byRun).median < forecastErrors(byModel).median);
        QCOMPARE(forecastErrors(byRun).rankCorrelation, 1.0);
    }

    void errorsByHand()
    {
        std::vector<CheckedForecast> checked(4);
        const double ratios[4] = {1.1, 1.2, 0.5, 1.0}; // forecast over measured
        for (std::size_t i = 0; i < 4; ++i) {
            checked[i].point = point(1, 0.1, 1.0);
            checked[i].point.compressed = 30.0 + 10.0 * static_cast<double>(i);       // 30 40 50 60
            checked[i].forecast.perplexity = ratios[i] * checked[i].point.compressed; // 33 48 25 60
            checked[i].forecast.low = 32.0;
            checked[i].forecast.high = 55.0; // covers 40 and 50
        }
        const ForecastErrors errors = forecastErrors(checked);
        QCOMPARE(errors.count, std::size_t{4});
        QVERIFY(close(errors.median, 0.5 * (std::log(1.1) + std::log(1.2)), 1e-12));
        QVERIFY(close(errors.worst, std::log(2.0), 1e-12));
        QCOMPARE(errors.covered, 0.5);
        // Ranks 1 2 0 3 against 0 1 2 3: 1 - 6 (1 + 1 + 4 + 0) / (4 * 15).
        QVERIFY(close(errors.rankCorrelation, 0.4, 1e-12));
        QVERIFY(std::isnan(forecastErrors(std::span(checked).first(2)).rankCorrelation));
        QCOMPARE(forecastErrors({}).count, std::size_t{0});
        checked[2].forecast.perplexity = std::nan(""); // no forecast
        QCOMPARE(forecastErrors(checked).count, std::size_t{3});
        QVERIFY(close(forecastErrors(checked).covered, 1.0 / 3.0, 1e-12));
        QVERIFY(std::isnan(Forecaster({}, "opt", "chinese", "svd", 2.0 * vocabulary, vocabulary).at(0.1).perplexity));
    }
};

QTEST_GUILESS_MAIN(TestForecast)
#include "tst_forecast.moc"
