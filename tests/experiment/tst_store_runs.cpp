#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/run_folder.h"
#include "core/experiment/runner.h"
#include "core/experiment/store.h"

#include <QElapsedTimer>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <set>
#include <thread>
#include <tuple>

using namespace rankwright;

namespace {

const std::filesystem::path demo = RANKWRIGHT_DEMO;

std::filesystem::path pathIn(const QTemporaryDir& folder, const char* name)
{
    return std::filesystem::path(folder.path().toStdString()) / name;
}

template <typename Work>
std::optional<ErrorKind> kindOf(const Work& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.kind();
    }
    return std::nullopt;
}

EvaluationOutcome evaluationOf(const std::string& name, double original, double compressed)
{
    EvaluationOutcome outcome;
    outcome.name = name;
    outcome.windows = {.text = "texts/" + name, .length = 2048, .count = 140};
    outcome.original = {.perplexity = original, .windowNll = std::vector<double>(140, original)};
    outcome.compressed = {.perplexity = compressed, .windowNll = std::vector<double>(140, compressed)};
    return outcome;
}

/// Rows of every table that belongs to a run.
std::int64_t rowsOf(const std::filesystem::path& file, std::int64_t run)
{
    SQLite::Database database(file.string());
    std::int64_t count = 0;
    for (const char* table : {"linears", "spectra", "evaluations", "events", "artefacts", "stages"}) {
        SQLite::Statement rows(database, std::string("SELECT count(*) FROM ") + table + " WHERE run = ?");
        rows.bind(1, run);
        rows.executeStep();
        count += rows.getColumn(0).getInt64();
    }
    return count;
}

} // namespace

class TestStoreRuns : public QObject
{
    Q_OBJECT

private slots:
    void aDeletedRunLeavesNothing()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "s.sqlite");
        Store store(file);
        Recipe recipe;
        recipe.model = demo / "stories260K";
        recipe.method = "svd";
        recipe.only = {"q"};
        recipe.evaluations = {{"held-out", {.text = demo / "stories-heldout.txt", .length = 32, .count = 1}}};
        const RunPlaces places{.cache = pathIn(folder, "cache")};
        const RunResult first = runRecipe(recipe, store, places, {});
        const RunResult second = runRecipe(recipe, store, places, {});
        recipe.keptRatio = 0.5;
        const RunResult other = runRecipe(recipe, store, places, {});
        QCOMPARE(second.folder, first.folder);
        QVERIFY(rowsOf(file, first.id) > 10);

        store.deleteRun(first.id);
        QCOMPARE(kindOf([&] { store.run(first.id); }), ErrorKind::NotFound);
        QCOMPARE(rowsOf(file, first.id), std::int64_t{0});
        QCOMPARE(store.runs().size(), std::size_t{2});
        // The second run has the same linears, and they are still there.
        QVERIFY(runLinears(second.folder, second.fingerprint) != nullptr);
        QCOMPARE(store.run(second.id).result.linears.size(), second.linears.size());

        store.deleteRun(second.id);
        QVERIFY(!std::filesystem::exists(second.folder));
        QVERIFY(std::filesystem::exists(other.folder));
        std::set<std::string> left;
        for (const auto& entry : std::filesystem::directory_iterator(store.runsFolder()))
            left.insert(entry.path().filename().string());
        QCOMPARE(left, (std::set<std::string>{other.fingerprint, other.fingerprint + ".lock"}));
        QCOMPARE(kindOf([&] { store.deleteRun(second.id); }), ErrorKind::NotFound);

        // The same recipe again computes it anew; ids are not given twice.
        recipe.keptRatio = 0.8;
        const RunResult again = runRecipe(recipe, store, places, {});
        QVERIFY(again.id > other.id);
        QVERIFY(!again.linears[0].resumed);
        QCOMPARE(again.folder, first.folder);
    }

    void whatIsInUseStays()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "s.sqlite");
        Store store(file);
        const std::string fingerprint(32, 'a');
        const auto running = store.beginRun({}, {}, fingerprint);
        QCOMPARE(kindOf([&] { store.deleteRun(running); }), ErrorKind::InvalidArgument);
        QCOMPARE(store.runs().size(), std::size_t{1});
        // An earlier run of the same fingerprint goes, the folder that the running one works in does not.
        const auto earlier = store.beginRun({}, {}, fingerprint);
        store.finishRun(earlier, RunState::Cancelled, {}, "");
        {
            const RunLock lock(store.runsFolder() / fingerprint);
            store.deleteRun(earlier);
        }
        QVERIFY(std::filesystem::exists(store.runsFolder() / fingerprint));
        // One of a process that is gone may be deleted.
        QProcess process;
        process.start(QStringLiteral(EXPERIMENT_HELPER),
                      {QStringLiteral("leave"), QString::fromStdString(file.string())});
        QVERIFY(process.waitForFinished(30'000));
        const RunSummary interrupted = store.runs().at(0);
        QCOMPARE(interrupted.state, RunState::Interrupted);
        store.deleteRun(interrupted.id);
        QCOMPARE(store.runs().size(), std::size_t{1});
    }

    void onlyFoldersOfRunsAreRemoved_data()
    {
        QTest::addColumn<QString>("fingerprint");
        QTest::newRow("above") << QStringLiteral("..");
        QTest::newRow("beside") << QStringLiteral("../precious");
        QTest::newRow("all") << QStringLiteral(".");
        QTest::newRow("none") << QString();
        QTest::newRow("a name") << QStringLiteral("notes");
    }
    void onlyFoldersOfRunsAreRemoved()
    {
        QFETCH(QString, fingerprint);
        const QTemporaryDir folder;
        Store store(pathIn(folder, "s.sqlite"));
        const auto run = store.beginRun({}, {}, fingerprint.toStdString());
        store.finishRun(run, RunState::Finished, {}, "");
        for (const auto& precious : {pathIn(folder, "precious"), store.runsFolder() / "notes"}) {
            std::filesystem::create_directories(precious);
            writeFileAtomically(precious / "thesis.txt", "years");
        }
        store.deleteRun(run);
        QVERIFY(store.runs().empty());
        QCOMPARE(readFile(pathIn(folder, "precious") / "thesis.txt"), std::string("years"));
        QCOMPARE(readFile(store.runsFolder() / "notes" / "thesis.txt"), std::string("years"));
    }

    void aLockIsNotTakenOnAFileThatWasRemoved()
    {
        const QTemporaryDir folder;
        const auto run = pathIn(folder, "run");
        std::optional<RunLock> first(std::in_place, run);
        QCOMPARE(kindOf([&] { RunLock{run}; }), ErrorKind::InvalidArgument);
        first->removeFolder();
        QVERIFY(!std::filesystem::exists(run));
        // The first still holds the removed file; who comes now has a lock of its own, and it excludes a third.
        const RunLock second(run);
        QVERIFY(std::filesystem::exists(run));
        first.reset();
        QCOMPARE(kindOf([&] { RunLock{run}; }), ErrorKind::InvalidArgument);
    }

    void changesAreCounted()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "s.sqlite");
        Store store(file);
        std::set<std::int64_t> seen{store.changeCount()};
        const auto changed = [&] { return seen.insert(store.changeCount()).second; };
        QVERIFY(!changed());
        const auto run = store.beginRun({}, {}, "");
        QVERIFY(changed());
        store.recordEvaluation(run, evaluationOf("a", 2.0, 3.0));
        QVERIFY(changed());
        store.setTags(run, "paper");
        QVERIFY(changed());
        store.runs();
        store.run(run);
        QVERIFY(!changed());
        {
            // Another connection, as another process has one.
            Store other(file);
            QVERIFY(!changed());
            other.setNotes(run, "seen elsewhere");
            QVERIFY(changed());
            other.runs();
            QVERIFY(!changed());
            other.finishRun(run, RunState::Finished, {}, "");
            QVERIFY(changed());
        }
        QVERIFY(!changed());
        store.deleteRun(run);
        QVERIFY(changed());
        QProcess process;
        process.start(QStringLiteral(EXPERIMENT_HELPER),
                      {QStringLiteral("insert"), QString::fromStdString(file.string()), QStringLiteral("1")});
        QVERIFY(process.waitForFinished(30'000));
        QVERIFY(changed());
    }

    void tenThousandRuns()
    {
        const QTemporaryDir folder;
        Store store(pathIn(folder, "s.sqlite"));
        constexpr int threads = 8;
        constexpr int each = 1250;
        {
            std::vector<std::jthread> writers;
            for (int t = 0; t < threads; ++t)
                writers.emplace_back([&store, t] {
                    for (int i = 0; i < each; ++i) {
                        Recipe recipe;
                        recipe.name = "run " + std::to_string(t * each + i);
                        const auto run = store.beginRun(recipe, {}, "");
                        store.recordEvaluation(run, evaluationOf("wiki", 20.0, 20.0 + i));
                        store.recordEvaluation(run, evaluationOf("stories", 4.0, 4.0 + t));
                        store.finishRun(run, RunState::Finished, {}, "");
                    }
                });
        }
        QElapsedTimer timer;
        timer.start();
        const std::vector<RunSummary> runs = store.runs();
        const auto all = timer.nsecsElapsed();
        QCOMPARE(runs.size(), std::size_t{threads * each});
        timer.start();
        const std::vector<RunSummary> chosen = store.runs("RUN 777");
        const auto filtered = timer.nsecsElapsed();
        QCOMPARE(chosen.size(), std::size_t{11}); // 777 and 7770 to 7779
        timer.start();
        store.changeCount();
        const auto count = timer.nsecsElapsed();
        qInfo("10,000 runs: %.1f ms, filtered %.1f ms, change count %.3f ms", static_cast<double>(all) / 1e6,
              static_cast<double>(filtered) / 1e6, static_cast<double>(count) / 1e6);
        QVERIFY(std::is_sorted(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.id > b.id; }));
        std::set<std::string> names;
        for (const RunSummary& run : runs) {
            const int number = std::stoi(run.name.substr(4));
            names.insert(run.name);
            QCOMPARE(run.perplexities.size(), std::size_t{2});
            const RunPerplexity& wiki = run.perplexities[0];
            QCOMPARE(std::tuple(wiki.text, wiki.original, wiki.compressed),
                     std::tuple(std::string("wiki"), 20.0, 20.0 + number % each));
            const RunPerplexity& stories = run.perplexities[1];
            QCOMPARE(std::tuple(stories.text, stories.original, stories.compressed),
                     std::tuple(std::string("stories"), 4.0, 4.0 + number / each));
            QVERIFY(!wiki.forecast && !stories.forecast);
        }
        QCOMPARE(names.size(), runs.size());
        store.deleteRun(runs[4321].id);
        QCOMPARE(store.runs().size(), runs.size() - 1);
    }

    void forecastsAreInTheList()
    {
        const QTemporaryDir folder;
        Store store(pathIn(folder, "s.sqlite"));
        const auto run = store.beginRun({}, {}, "");
        EvaluationOutcome forecast = evaluationOf("wiki", 20.0, 24.0);
        forecast.forecast = {
            .perplexity = 23.0, .low = 22.0, .high = 25.5, .basis = ForecastBasis::OtherTexts, .runs = 3};
        store.recordEvaluation(run, forecast);
        store.recordEvaluation(run, evaluationOf("stories", 4.0, 5.0));
        const RunSummary listed = store.runs().at(0);
        for (const RunSummary& summary : {listed, store.run(run).summary}) {
            QVERIFY(summary.perplexities.at(0).forecast);
            const Forecast& read = *summary.perplexities[0].forecast;
            QCOMPARE(std::tuple(read.perplexity, read.low, read.high, read.runs), std::tuple(23.0, 22.0, 25.5, 3UL));
            QCOMPARE(read.basis, ForecastBasis::OtherTexts);
            QVERIFY(!summary.perplexities.at(1).forecast);
        }
    }

    void perplexitiesAreReadFromTheIndex()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "s.sqlite");
        {
            const Store store(file);
        }
        SQLite::Database database(file.string());
        SQLite::Statement plan(database, "EXPLAIN QUERY PLAN SELECT run, name, original_perplexity, "
                                         "compressed_perplexity, forecast_basis, forecast_runs, forecast, "
                                         "forecast_low, forecast_high FROM evaluations ORDER BY run, id");
        QVERIFY(plan.executeStep());
        QVERIFY(QString::fromStdString(plan.getColumn(3).getString()).contains(QStringLiteral("COVERING INDEX")));
        QVERIFY(!plan.executeStep());
    }
};

QTEST_GUILESS_MAIN(TestStoreRuns)
#include "tst_store_runs.moc"
