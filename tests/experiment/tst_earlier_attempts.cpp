#include "core/base/file.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/runner.h"
#include "run_support.h"

#include <QTemporaryDir>
#include <QTest>
#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <map>
#include <tuple>

using namespace rankwright;

namespace {

/// Second moments of fewer tokens than channels: every linear has something to note.
Recipe starvedRecipe()
{
    Recipe recipe = demoRecipe();
    recipe.calibration->length = 16;
    recipe.calibration->count = 1;
    return recipe;
}

using EventKey = std::tuple<std::string, std::string, std::string>;

/// What was noted of each linear, however the threads met.
std::multimap<std::string, EventKey> eventsOf(const RunResult& result, const std::string& kind)
{
    std::multimap<std::string, EventKey> events;
    for (const NumericEvent& event : result.events)
        if (event.kind == kind)
            events.emplace(event.linear, EventKey(event.kind, event.message, std::to_string(event.value)));
    return events;
}

} // namespace

/// What a run records of the linears that it takes over from runs before it.
class TestEarlierAttempts : public QObject
{
    Q_OBJECT

private slots:
    void eventsOfLinearsAreTakenOver()
    {
        Place place;
        const Recipe recipe = starvedRecipe();
        const auto expected = eventsOf(place.run(recipe), "singularStatistics");
        QCOMPARE(expected.size(), demoLinears);
        std::vector<NumericEvent> told;
        TaskContext context;
        context.event = [&](const NumericEvent& event) { told.push_back(event); };
        const RunResult second = runRecipe(recipe, place.store, {.cache = place.path / "cache"}, context);
        QVERIFY(std::ranges::all_of(second.linears, &LinearOutcome::resumed));
        QVERIFY(eventsOf(second, "singularStatistics") == expected);
        QVERIFY(eventsOf(place.store.run(second.id).result, "singularStatistics") == expected);
        QCOMPARE(told.size(), second.events.size());
    }

    /// From the newest that has them: a run in between that stopped early does not hide those of the first.
    void eventsComeFromTheNewestThatHasThem()
    {
        Place place;
        const Recipe recipe = starvedRecipe();
        const RunResult first = place.run(recipe);
        const auto expected = eventsOf(first, "singularStatistics");
        const std::int64_t stopped = place.store.beginRun(recipe, {}, first.fingerprint);
        LinearOutcome outcome = first.linears[0];
        place.store.recordLinear(stopped, outcome);
        place.store.recordEvent(stopped, {"singularStatistics", outcome.name, "of the run in between", 7.0});
        place.store.recordEvent(stopped, {"discardedFile", outcome.name, "a file of the run in between", 0.0});
        const RunResult third = place.run(recipe);
        auto events = eventsOf(third, "singularStatistics");
        QCOMPARE(events.size(), demoLinears);
        const auto changed = events.find(outcome.name);
        QVERIFY(changed != events.end());
        QCOMPARE(std::get<1>(changed->second), std::string("of the run in between"));
        QVERIFY(eventsOf(third, "discardedFile").empty());
        changed->second = expected.find(outcome.name)->second;
        QVERIFY(events == expected);
    }

    void damagedRecordsArePassedOver_data()
    {
        QTest::addColumn<QByteArray>("statement");
        QTest::newRow("state") << QByteArray("UPDATE runs SET state = 'odd' WHERE id = 2");
        QTest::newRow("recipe") << QByteArray("UPDATE runs SET recipe = '{' WHERE id = 2");
        QTest::newRow("structure") << QByteArray("UPDATE linears SET structure = 'odd' WHERE run = 2");
        QTest::newRow("notes") << QByteArray("UPDATE linears SET notes = '[1]' WHERE run = 2");
        QTest::newRow("no list") << QByteArray("UPDATE linears SET notes = '{\"a\":\"b\"}' WHERE run = 2");
    }

    /// With a note, and the run before it is asked instead.
    void damagedRecordsArePassedOver()
    {
        QFETCH(QByteArray, statement);
        Place place;
        const Recipe recipe = starvedRecipe();
        const auto expected = eventsOf(place.run(recipe), "singularStatistics");
        place.run(recipe);
        {
            SQLite::Database database((place.path / "experiments.sqlite").string(), SQLite::OPEN_READWRITE);
            QVERIFY(database.exec(statement.constData()) > 0);
        }
        QCOMPARE(errorOf([&] { place.store.run(2); })->kind(), ErrorKind::Corrupt);
        const RunResult third = place.run(recipe);
        QVERIFY(std::ranges::all_of(third.linears, &LinearOutcome::resumed));
        QVERIFY(eventsOf(third, "singularStatistics") == expected);
        const auto notes = eventsOf(third, "discardedFile");
        QCOMPARE(notes.size(), std::size_t{1});
        QVERIFY(std::get<1>(notes.begin()->second).starts_with("what run 2 has recorded"));
    }

    /// What is computed again tells for itself, once.
    void linearsComputedAgainTellOnce()
    {
        Place place;
        const Recipe recipe = starvedRecipe();
        const RunResult first = place.run(recipe);
        std::filesystem::remove(linearFile(first.folder, 3));
        const RunResult second = place.run(recipe);
        QVERIFY(!second.linears[3].resumed);
        QVERIFY(eventsOf(second, "singularStatistics") == eventsOf(first, "singularStatistics"));
    }

    /// Other runs and deleted ones give nothing.
    void equalRunsAreThoseOfOneFingerprint()
    {
        Place place;
        const Recipe recipe = starvedRecipe();
        const RunResult first = place.run(recipe);
        Recipe other = recipe;
        other.keptRatio = 0.5;
        const RunResult unlike = place.run(other);
        QVERIFY(place.store.equalRuns(unlike.id).empty());
        const RunResult second = place.run(recipe);
        const RunResult third = place.run(recipe);
        QCOMPARE(place.store.equalRuns(third.id), (std::vector<std::int64_t>{second.id, first.id}));
        place.store.deleteRun(second.id);
        QCOMPARE(place.store.equalRuns(third.id), std::vector<std::int64_t>{first.id});
        // Runs that never came to a fingerprint are not equal.
        const std::int64_t early = place.store.beginRun(recipe, {}, {});
        place.store.beginRun(recipe, {}, {});
        QVERIFY(place.store.equalRuns(early).empty());
    }
};

QTEST_GUILESS_MAIN(TestEarlierAttempts)
#include "tst_earlier_attempts.moc"
