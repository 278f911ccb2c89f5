#include "core/experiment/linear_file.h"
#include "core/experiment/runner.h"
#include "tests/ui/window_fixture.h"
#include "ui/models/run_table_model.h"
#include "ui/panels/runs_panel.h"
#include "ui/session/text.h"

#include <QAction>
#include <QFile>
#include <QProcess>
#include <QTabWidget>
#include <QToolButton>

#include <algorithm>
#include <csignal>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// Runs of SmolLM2 that end in the middle of their linears, killed or cancelled, go on from the window and end with the
/// bytes of a run that nothing stopped.
class TestWindowResume : public QObject
{
    Q_OBJECT

private:
    Session& session() { return m_fixture->session(); }

    Recipe recipe(const char* only) const
    {
        Recipe recipe;
        recipe.model = qEnvironmentVariable("RANKWRIGHT_SMOLLM2").toStdString();
        recipe.method = "whitened-svd";
        recipe.only = {only};
        recipe.threads = 1;
        recipe.calibration = WindowOptions{
            .text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 64, .count = 2};
        return recipe;
    }

    RunRecord record(std::int64_t run) { return session().runs().store()->run(run); }

    /// Finished linears of a run that goes on: their files appear when they are whole.
    std::size_t linearsOf(std::int64_t run)
    {
        const std::filesystem::path folder = session().runs().store()->runsFolder() / record(run).summary.fingerprint;
        std::size_t count = 0;
        if (std::filesystem::exists(folder))
            for (const auto& entry : std::filesystem::directory_iterator(folder))
                count += entry.path().extension() == ".safetensors" ? 1 : 0;
        return count;
    }

    static QByteArray bytesOf(const std::filesystem::path& file)
    {
        QFile read(toQString(file));
        return read.open(QIODevice::ReadOnly) ? read.readAll() : QByteArray();
    }

    /// Against the same recipe in a store of its own, without the window.
    void compareWithAWholeRun(std::int64_t run, const Recipe& of)
    {
        const RunRecord resumed = record(run);
        Store store(m_fixture->folder() / "whole" / (std::to_string(run) + ".sqlite"));
        const RunResult whole = runRecipe(of, store, {.cache = m_fixture->folder() / "cache"}, {});
        QCOMPARE(resumed.result.linears.size(), std::size_t(30));
        QCOMPARE(resumed.result.fingerprint, whole.fingerprint);
        const auto model = session().document();
        for (std::size_t i = 0; i < whole.linears.size(); ++i) {
            const std::size_t index = model->model.linear(whole.linears[i].name).index;
            const QByteArray expected = bytesOf(linearFile(whole.folder, index));
            QVERIFY(!expected.isEmpty());
            QVERIFY(resumed.result.folder != whole.folder);
            QVERIFY2(bytesOf(linearFile(resumed.result.folder, index)) == expected, whole.linears[i].name.c_str());
            QCOMPARE(resumed.result.linears[i].measuredLoss, whole.linears[i].measuredLoss);
        }
    }

    bool finishes(std::int64_t run)
    {
        return waitUntil([this] { return session().jobs().idle(); }) &&
               waitUntil([&] { return record(run).summary.state == RunState::Finished; });
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openModel(qEnvironmentVariable("RANKWRIGHT_SMOLLM2"));
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void aRunThatWasKilledAmongItsLinears()
    {
        const Recipe killed = recipe("down");
        const std::unique_ptr<OtherProgram> other = m_fixture->startElsewhere(killed);
        QVERIFY(other != nullptr);
        std::int64_t run = 0;
        const auto some = [&] {
            for (const RunSummary& summary : session().runs().store()->runs())
                if (summary.state == RunState::Running && !summary.fingerprint.empty() && linearsOf(summary.id) > 1)
                    run = summary.id;
            return run != 0;
        };
        QVERIFY2(waitUntil(some), other->errors().constData());
        // Held still, so that what is counted is what is there when it dies.
        QCOMPARE(::kill(other->processId(), SIGSTOP), 0);
        const std::size_t done = linearsOf(run);
        other->kill();
        QVERIFY2(done > 1 && done < 30, qPrintable(QString::number(done)));

        session().runs().refresh();
        QVERIFY(waitUntil([this] {
            const auto& runs = session().runs().runs();
            return !runs.empty() && runs.front().state == RunState::Interrupted;
        }));
        auto* resume = m_fixture->find<QToolButton>("resumeRun");
        QVERIFY(waitUntil([resume] { return resume->isVisible(); }));
        QVERIFY(resume->text().contains(QString::number(run)));
        QTest::mouseClick(resume, Qt::LeftButton);
        QVERIFY(waitUntil([this] { return session().jobs().running() != nullptr; }));
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }, 200));
        const std::int64_t last = session().jobs().jobs().back().run;
        QVERIFY(finishes(last));
        const RunRecord resumed = record(last);
        QCOMPARE(std::ranges::count_if(resumed.result.linears, &LinearOutcome::resumed), std::ptrdiff_t(done));
        compareWithAWholeRun(last, killed);
    }

    void aRunThatIsCancelledAndResumed()
    {
        const Recipe cancelled = recipe("v");
        session().setRecipe(cancelled);
        QVERIFY(waitUntil([this] { return !session().plan().waiting(); }));
        std::size_t done = 0;
        connect(&session().jobs(), &JobQueue::linearsDone, this,
                [&](int, const std::vector<LinearOutcome>& outcomes) { done += outcomes.size(); });
        QCOMPARE(session().startRun(), QString());
        QVERIFY(waitUntil([&] { return done > 0; }));
        QTest::mouseClick(m_fixture->find<QToolButton>("cancelJob"), Qt::LeftButton);
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }, 200));
        const Job stopped = session().jobs().jobs().back();
        QCOMPARE(stopped.state, JobState::Cancelled);
        QVERIFY2(done < 30, qPrintable(QString::number(done)));

        RunsPanel* panel = m_fixture->window().runsPanel();
        m_fixture->window().views()->setCurrentWidget(panel);
        QVERIFY(waitUntil([&] {
            const RunView& view = *panel->model()->view();
            const auto row = view.rowOf.find(stopped.run);
            return row != view.rowOf.end() && view.run(row->second).state == RunState::Cancelled;
        }));
        panel->selectRuns({stopped.run});
        auto* resume = panel->findChild<QAction*>(u"resumeSelected"_s);
        QVERIFY(resume->isEnabled());
        resume->trigger();
        QVERIFY(waitUntil([this] { return session().jobs().running() != nullptr; }));
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }, 200));
        const std::int64_t last = session().jobs().jobs().back().run;
        QVERIFY(finishes(last));
        const RunRecord resumed = record(last);
        QVERIFY(std::ranges::any_of(resumed.result.linears, &LinearOutcome::resumed));
        compareWithAWholeRun(last, session().recipe());
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
};

QTEST_MAIN(TestWindowResume)
#include "tst_window_resume.moc"
