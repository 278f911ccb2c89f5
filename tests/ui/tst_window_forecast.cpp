#include "core/calibration/mixture.h"
#include "core/compute/device.h"
#include "core/evaluation/evaluation.h"
#include "tests/ui/slider_times.h"
#include "tests/ui/watched_application.h"
#include "tests/ui/window_fixture.h"
#include "ui/session/text.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSlider>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// The forecast beside the slider on stories260K, from what is missing to what runs have taught: figures are computed
/// here from the files that the window's calibration wrote, and asked of the command line.
class TestWindowForecast : public QObject
{
    Q_OBJECT

private:
    static constexpr double kept = 0.7;

    static WatchedApplication& watched() { return *static_cast<WatchedApplication*>(qApp); }
    Session& session() { return m_fixture->session(); }
    QString shown() { return m_fixture->find<QLabel>("forecast")->text(); }
    QPushButton* measureButton() { return m_fixture->find<QPushButton>("measureOriginal"); }

    static QString number(double value) { return QLocale().toString(value, 'g', 4); }
    static QString sentence(double perplexity, double low, double high, double original, const QString& state)
    {
        return u"Forecast on stories-heldout.txt: perplexity %1 (%2 to %3), originally %4; %5"_s.arg(
            number(perplexity), number(low), number(high), number(original), state);
    }

    /// What the plan costs, from the curves of an analysis made here.
    double natsOfThePlan() const
    {
        double sum = 0.0;
        for (std::size_t i = 0; i < m_curves.size(); ++i)
            if (m_fixture->session().plan().structure(static_cast<int>(i)) != StructureKind::Dense)
                sum += m_curves[i][m_fixture->session().plan().rank(static_cast<int>(i))];
        return sum;
    }

    /// Before any run y = ln(-S ln(1 - D / S)) is ln(3 P) with the spreads of docs/forecast.md.
    QString uncalibrated(double nats) const
    {
        const double ceiling = std::log(m_vocabulary / m_original);
        const double x = std::log(nats / 0.1);
        double variance = 0.2 * 0.2;
        for (const double offset : {0.5, 0.3, 0.4, 0.3})
            variance += offset * offset + 0.1 * 0.1 * x * x;
        const auto perplexity = [&](double quantiles) {
            const double increase = std::exp(std::log(3.0 * nats) + quantiles * std::sqrt(variance));
            return m_original * std::exp(ceiling * (1.0 - std::exp(-increase / ceiling)));
        };
        constexpr double fifthPercentile = -1.6448536269514722;
        return sentence(perplexity(0.0), perplexity(fifthPercentile), perplexity(-fifthPercentile), m_original,
                        u"uncalibrated: no measured run yet"_s);
    }

    void waitForJobs()
    {
        QVERIFY(waitUntil([this] { return session().jobs().idle() && !session().jobs().jobs().empty(); }, 120));
        const Job& job = session().jobs().jobs().back();
        QVERIFY2(job.state == JobState::Finished, qPrintable(job.failure.message));
    }

    Json askedOfTheCommandLine()
    {
        OtherProgram cli(m_fixture->folder() / "elsewhere");
        const QString demo = demoFolder();
        cli.start(u"rankwright-cli"_s, {u"forecast"_s,
                                        demo + u"/stories260K"_s,
                                        u"--method"_s,
                                        u"whitened-svd"_s,
                                        u"--calibration-text"_s,
                                        demo + u"/stories-calibration.txt"_s,
                                        u"--calibration-window"_s,
                                        u"64"_s,
                                        u"--calibration-windows"_s,
                                        u"8"_s,
                                        u"--evaluate-text"_s,
                                        demo + u"/stories-heldout.txt"_s,
                                        u"--evaluate-window"_s,
                                        u"128"_s,
                                        u"--evaluate-windows"_s,
                                        u"4"_s,
                                        u"--at"_s,
                                        QString::number(kept),
                                        u"--json"_s,
                                        u"--store"_s,
                                        toQString(m_fixture->places().store)});
        if (!cli.succeeded())
            qFatal("rankwright-cli forecast failed: %s", cli.errors().constData());
        return parseJson(cli.output().toStdString(), "forecast").at("forecasts")[0];
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openDemoToCalibrate();
        session().plan().setKeptRatio(kept);
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void whatIsMissingIsTold()
    {
        QCOMPARE(shown(), u"No forecast: add an evaluation text to the recipe"_s);
        session().recipeState().change([](Recipe& recipe) {
            recipe.evaluations = {
                {{},
                 {.text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-heldout.txt", .length = 128, .count = 4}}};
        });
        QCOMPARE(shown(), u"No forecast: tick gradients in the recipe and calibrate"_s);
        auto* ticked = m_fixture->find<QCheckBox>("gradients");
        ticked->setFocus();
        QTest::keyClick(ticked, Qt::Key_Space);
        QTRY_COMPARE(shown(), u"No forecast: there are no gradients yet, calibrate first"_s);
        QTest::mouseClick(m_fixture->find<QPushButton>("calibrate"), Qt::LeftButton);
        waitForJobs();
        const auto unmeasured =
            u"No forecast on stories-heldout.txt: the perplexity of the original is not measured yet"_s;
        QVERIFY2(waitUntil([&] { return shown() == unmeasured; }), qPrintable(shown()));
        QVERIFY(measureButton()->isVisible());
    }

    void aMeasurementGivesTheForecast()
    {
        QTest::mouseClick(measureButton(), Qt::LeftButton);
        QVERIFY(!measureButton()->isEnabled());
        waitForJobs();
        QCOMPARE(session().jobs().jobs().back().kind, JobKind::Measure);
        QVERIFY(waitUntil([this] { return !measureButton()->isVisible(); }));

        const Model model = Model::open(demoFolder().toStdString() + "/stories260K");
        const auto device = makeCpuDevice(1);
        const TokenWindows windows =
            makeWindows(*model.tokenizer(), session().recipeState().recipe().evaluations[0].windows, {});
        m_original = evaluatePerplexity(model, *device, windows, {}, {}).perplexity;
        m_vocabulary = static_cast<double>(model.config().vocabularySize);
        const CalibrationSet inputs = CalibrationSet::open(session().calibration().set()->folder());
        const CalibrationSet outputs = CalibrationSet::open(session().calibration().gradients()->folder());
        for (const LinearInfo& info : model.linears()) {
            const TapStatistics statistics = inputs.load(info.tap);
            const TapStatistics gradients = outputs.load(info.index);
            const LinearProblem problem{.name = info.name,
                                        .W = convertMatrix<double>(model.readDense(info)),
                                        .statistics = &statistics,
                                        .gradients = &gradients};
            m_curves.push_back(
                findMethod("whitened-svd").analyze(*device, problem, {})->curvatureCurve(*device, problem));
        }
        QCOMPARE(shown(), uncalibrated(natsOfThePlan()));
        QVERIFY(session().jobs().jobs().back().result.contains(QString::number(m_original, 'g', 5)));
    }

    void theSliderMovesIt()
    {
        auto* slider = m_fixture->find<QSlider>("keptSlider");
        slider->setFocus();
        QString before = shown();
        for (int i = 0; i < 5; ++i) {
            QTest::keyClick(slider, Qt::Key_PageDown);
            QVERIFY(shown() != before); // without waiting
            QCOMPARE(shown(), uncalibrated(natsOfThePlan()));
            before = shown();
        }
        QVERIFY(session().plan().state().keptRatio < 0.5);
    }

    void otherRanksMoveIt()
    {
        session().plan().setRanks({4}, 3);
        QCOMPARE(shown(), uncalibrated(natsOfThePlan()));
        auto* allocator = m_fixture->find<QComboBox>("allocator");
        allocator->setCurrentIndex(allocator->findData(u"curvature"_s));
        emit allocator->activated(allocator->currentIndex());
        QVERIFY(waitUntil([this] { return !session().plan().waiting(); }));
        QCOMPARE(shown(), uncalibrated(natsOfThePlan()));
        session().plan().setKeptRatio(1.0);
        QCOMPARE(session().plan().nats(), natsOfThePlan());
        session().plan().undoStack().setIndex(0);
        session().plan().setKeptRatio(kept);
        QCOMPARE(session().plan().state().allocator, std::string("uniform"));
        QCOMPARE(shown(), uncalibrated(natsOfThePlan()));
    }

    void aRunCalibratesIt()
    {
        QTest::mouseClick(m_fixture->find<QPushButton>("run"), Qt::LeftButton);
        waitForJobs();
        QTRY_VERIFY(shown().endsWith(u"; calibrated by 1 measured run of this model on this text"_s));
        const EvaluationOutcome measured =
            session().runs().store()->run(session().jobs().jobs().back().run).result.evaluations.at(0);
        QCOMPARE(measured.forecast->basis, ForecastBasis::Prior);
        const Json asked = askedOfTheCommandLine();
        QVERIFY(std::abs(session().plan().nats() / asked.at("predictedNats").get<double>() - 1.0) < 1e-6);
        const Json perplexity = asked.at("perplexities")[0];
        const auto value = [&](const char* key) { return perplexity.at(key).get<double>(); };
        QCOMPARE(shown(), sentence(value("perplexity"), value("low"), value("high"), m_original,
                                   toQString(perplexity.at("state").get<std::string>())));
        // It knows of the run now.
        QVERIFY(std::abs(std::log(value("perplexity") / measured.compressed.perplexity)) <
                std::abs(std::log(measured.forecast->perplexity / measured.compressed.perplexity)));
    }

    void moreRunsCalibrateItFurther()
    {
        session().plan().setKeptRatio(0.85);
        QTest::mouseClick(m_fixture->find<QPushButton>("run"), Qt::LeftButton);
        waitForJobs();
        QTRY_VERIFY(shown().endsWith(u"; calibrated by 2 measured runs of this model on this text"_s));
    }

    void severalCalibrationTextsAreMixed()
    {
        const std::filesystem::path demo = RANKWRIGHT_DEMO;
        const WindowOptions second{.text = demo / "stories-heldout.txt", .length = 64, .count = 4};
        session().recipeState().change([&](Recipe& recipe) { recipe.moreCalibrations = {{second, 0.5}}; });
        QTRY_COMPARE(shown(), u"No forecast: there are no gradients yet, calibrate first"_s);
        QTest::mouseClick(m_fixture->find<QPushButton>("calibrate"), Qt::LeftButton);
        waitForJobs();
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Ready; }));
        const Model& model = session().document()->model;
        const Recipe& recipe = session().recipeState().recipe();
        std::vector<std::string> moments;
        std::vector<std::string> gradients;
        for (const WindowOptions& text : {*recipe.calibration, second}) {
            const TokenWindows windows = makeWindows(*model.tokenizer(), text, {});
            moments.push_back(calibrationFingerprint(model, windows));
            gradients.push_back(curvatureFingerprint(model, windows, recipe.curvature));
        }
        const std::array weights{1.0, 0.5};
        QCOMPARE(session().calibration().set()->fingerprint(), mixtureFingerprint(moments, weights));
        QCOMPARE(session().calibration().gradients()->fingerprint(), mixtureFingerprint(gradients, weights));
        QVERIFY2(waitUntil([this] { return shown().startsWith(u"Forecast on "_s); }), qPrintable(shown()));
        const double planned = session().plan().nats();
        QTest::mouseClick(m_fixture->find<QPushButton>("run"), Qt::LeftButton);
        waitForJobs();
        const RunResult result = session().runs().store()->run(session().jobs().jobs().back().run).result;
        QVERIFY(result.calibrationReused);
        QVERIFY(std::abs(result.predictedNats / planned - 1.0) < 1e-4); // stored factors are rounded
        session().recipeState().change([](Recipe& changed) { changed.moreCalibrations.clear(); });
    }

    void whatIsNotForecastIsTold()
    {
        const auto group = std::ranges::find_if(
            methods(), [](const Method* method) { return !method->groups().empty() && !method->needsGradients(); });
        QVERIFY(group != methods().end());
        session().recipeState().change([&](Recipe& recipe) { recipe.method = (*group)->name(); });
        QCOMPARE(shown(), u"No forecast: what %1 costs is known after a run only"_s.arg(toQString((*group)->name())));
        session().recipeState().change([this](Recipe& recipe) {
            recipe.method = "whitened-svd";
            recipe.evaluations[0].windows.text = m_fixture->folder() / "gone.txt";
        });
        QTRY_VERIFY(shown().startsWith(u"No forecast on gone.txt: "_s));
        QVERIFY(!measureButton()->isVisible());
        // What is wrong with one text says nothing of another.
        session().recipeState().change([](Recipe& recipe) {
            recipe.evaluations.push_back(recipe.evaluations[0]);
            recipe.evaluations[0].windows.text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-heldout.txt";
        });
        QTRY_VERIFY(shown().startsWith(u"Forecast on stories-heldout.txt: "_s));
        QVERIFY(shown().contains(u"No forecast on gone.txt: "_s));
    }

    /// As many points as a forecast takes: the window's thread is busy no longer than without.
    void manyRunsDoNotSlowTheSlider()
    {
        session().recipeState().change([](Recipe& recipe) { recipe.evaluations.resize(1); });
        const Recipe recipe = session().recipe();
        const std::string model = modelFingerprint(session().document()->model);
        std::mt19937 generator(3);
        std::uniform_real_distribution<double> uniform(0.0, 1.0);
        for (int i = 0; i < 400; ++i) {
            const std::int64_t run = session().runs().store()->beginRun(recipe, {}, std::to_string(i));
            session().runs().store()->setFingerprints(run, std::to_string(i), model, {});
            const double nats = 0.02 + 0.8 * uniform(generator);
            EvaluationOutcome outcome;
            outcome.name = "stories-heldout.txt";
            outcome.original.perplexity = m_original;
            outcome.compressed.perplexity = m_original * std::exp(3.0 * nats * (0.9 + 0.2 * uniform(generator)));
            session().runs().store()->recordEvaluation(run, outcome);
            RunResult result;
            result.predictedNats = nats;
            result.vocabulary = static_cast<std::size_t>(m_vocabulary);
            session().runs().store()->finishRun(run, RunState::Finished, result, "");
        }
        session().runs().refresh();
        QTRY_VERIFY(shown().endsWith(u"; calibrated by 400 measured runs of this model on this text"_s));
        watched().reset();
        const QString times = toText(timeSlider(*m_fixture));
        qInfo("forecast of 400 runs: %s; longest busy at once %.1f ms", qPrintable(times),
              watched().longestBusyMilliseconds());
        QVERIFY2(watched().longestBusyMilliseconds() <= mostBusyMilliseconds(), qPrintable(watched().longestEvent()));
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
    std::vector<std::vector<double>> m_curves;
    double m_original = 0.0;
    double m_vocabulary = 0.0;
};

int main(int argc, char** argv)
{
    WatchedApplication application(argc, argv);
    TestWindowForecast test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_window_forecast.moc"
