#include "core/base/error.h"
#include "core/calibration/windows.h"
#include "core/experiment/runner.h"

#include <QTemporaryDir>
#include <QTest>

#include <map>
#include <mutex>

using namespace rankwright;

namespace {

const std::filesystem::path demo = RANKWRIGHT_DEMO;

Recipe demoRecipe()
{
    Recipe recipe;
    recipe.model = demo / "stories260K";
    recipe.keptRatio = 0.7;
    recipe.threads = 3;
    recipe.calibration = WindowOptions{.text = demo / "stories-calibration.txt", .length = 64, .count = 8};
    recipe.evaluations = {{"held-out", {.text = demo / "stories-heldout.txt", .length = 64, .count = 4}},
                          {"calibration", {.text = demo / "stories-calibration.txt", .length = 64, .count = 2}}};
    return recipe;
}

/// Keeps what it is told.
struct Recorder
{
    std::mutex mutex;
    std::vector<std::int64_t> started;
    std::vector<AllocationPlan> plans;
    std::map<std::string, std::vector<LinearOutcome>> linears;
    std::vector<EvaluationOutcome> evaluations;
    bool inOrder = true;

    RunObserver observer(const Store& store)
    {
        RunObserver observer;
        observer.started = [this](std::int64_t run) {
            const std::lock_guard lock(mutex);
            started.push_back(run);
        };
        observer.planned = [this](const AllocationPlan& plan) {
            const std::lock_guard lock(mutex);
            inOrder = inOrder && started.size() == 1 && linears.empty();
            plans.push_back(plan);
        };
        observer.linearDone = [this, &store](const LinearOutcome& outcome) {
            const std::lock_guard lock(mutex);
            inOrder = inOrder && plans.size() == 1 && evaluations.empty();
            // What is told is recorded before.
            inOrder = inOrder && !store.spectrum(started.at(0), outcome.name).empty();
            linears[outcome.name].push_back(outcome);
        };
        observer.evaluated = [this](const EvaluationOutcome& outcome) {
            const std::lock_guard lock(mutex);
            evaluations.push_back(outcome);
        };
        return observer;
    }
};

} // namespace

class TestObserver : public QObject
{
    Q_OBJECT

private slots:
    void everythingArrivesOnce_data()
    {
        QTest::addColumn<QString>("allocation");
        QTest::addColumn<QString>("sequential");
        QTest::newRow("uniform") << QStringLiteral("uniform") << QStringLiteral("dense");
        QTest::newRow("marginal-loss") << QStringLiteral("marginal-loss") << QStringLiteral("dense");
        QTest::newRow("compressed prefix") << QStringLiteral("uniform") << QStringLiteral("compressed");
    }
    void everythingArrivesOnce()
    {
        QFETCH(QString, allocation);
        QFETCH(QString, sequential);
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        Store store(path / "s.sqlite");
        Recipe recipe = demoRecipe();
        recipe.allocation = allocation.toStdString();
        recipe.sequential = sequentialModeFromName(sequential.toStdString());

        // Cut off in the middle, then taken over, then taken over whole.
        std::stop_source stop;
        TaskContext context;
        context.stop = stop.get_token();
        Recorder cut;
        RunObserver observer = cut.observer(store);
        observer.linearDone = [&, inner = observer.linearDone](const LinearOutcome& outcome) {
            inner(outcome);
            const std::lock_guard lock(cut.mutex);
            if (cut.linears.size() >= 12)
                stop.request_stop();
        };
        QVERIFY_EXCEPTION_THROWN(runRecipe(recipe, store, {.cache = path / "cache"}, context, observer), Error);
        QVERIFY(cut.inOrder);
        QVERIFY(cut.linears.size() >= 12 && cut.linears.size() < 35);
        QVERIFY(cut.evaluations.empty());
        for (const auto& [name, outcomes] : cut.linears)
            QCOMPARE(outcomes.size(), std::size_t{1});

        for (const std::size_t before : {cut.linears.size(), std::size_t{35}}) {
            Recorder recorder;
            const RunResult result = runRecipe(recipe, store, {.cache = path / "cache"}, {}, recorder.observer(store));
            QVERIFY(recorder.inOrder);
            QCOMPARE(recorder.started, std::vector<std::int64_t>{result.id});
            QCOMPARE(recorder.plans.size(), std::size_t{1});
            QCOMPARE(recorder.plans[0].ranks.size(), result.linears.size());
            QCOMPARE(recorder.linears.size(), std::size_t{35});
            std::size_t resumed = 0;
            for (std::size_t i = 0; i < result.linears.size(); ++i) {
                const LinearOutcome& outcome = result.linears[i];
                const std::vector<LinearOutcome>& told = recorder.linears.at(outcome.name);
                QCOMPARE(told.size(), std::size_t{1});
                QCOMPARE(told[0].rank, outcome.rank);
                QCOMPARE(told[0].measuredLoss, outcome.measuredLoss);
                QCOMPARE(recorder.plans[0].ranks[i].name, outcome.name);
                QCOMPARE(recorder.plans[0].ranks[i].rank, outcome.rank);
                QCOMPARE(told[0].resumed, outcome.resumed);
                resumed += outcome.resumed ? 1 : 0;
            }
            QCOMPARE(resumed, before);
            QCOMPARE(recorder.evaluations.size(), std::size_t{2});
            QCOMPARE(recorder.evaluations[1].name, std::string("calibration"));
            QCOMPARE(recorder.evaluations[1].compressed.perplexity, result.evaluations[1].compressed.perplexity);
        }
    }

    void aCalibrationAloneIsReusedByARun()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        const Recipe recipe = demoRecipe();
        const Model model = Model::open(recipe.model);
        const TokenWindows windows = makeWindows(*model.tokenizer(), *recipe.calibration, {});
        const CalibrationSet set = calibrate(model, *makeCpuDevice(2), windows, path / "cache", {}, {});
        QVERIFY(!set.reused());
        Store store(path / "s.sqlite");
        const RunResult same = runRecipe(recipe, store, {.cache = path / "cache"}, {});
        QVERIFY(same.calibrationReused);
        QCOMPARE(same.calibrationFingerprint, set.fingerprint());
        Recipe other = recipe;
        other.calibration->count = 7;
        QVERIFY(!runRecipe(other, store, {.cache = path / "cache"}, {}).calibrationReused);
    }
};

QTEST_GUILESS_MAIN(TestObserver)
#include "tst_observer.moc"
