#include "tests/ui/window_fixture.h"
#include "ui/panels/runs_panel.h"
#include "ui/panels/training_panel.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QAction>
#include <QComboBox>
#include <QLabel>
#include <QSignalSpy>
#include <QTabWidget>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// Loss curves in the window while a run on stories260K distils and recovers, and afterwards: the points are those of
/// the store.
class TestWindowTraining : public QObject
{
    Q_OBJECT

private:
    Session& session() { return m_fixture->session(); }
    const PlotData& drawn() { return m_fixture->window().trainingPanel()->plot()->data(); }
    QComboBox* choice() { return m_fixture->find<QComboBox>("trainingChoice"); }
    QString state() { return m_fixture->find<QLabel>("trainingState")->text(); }

    static QVector<QPointF> curve(const std::vector<TrainingPoint>& points, const std::string& stage,
                                  const std::string& part, double TrainingPoint::*loss)
    {
        QVector<QPointF> result;
        for (const TrainingPoint& point : points)
            if (point.stage == stage && point.part == part && std::isfinite(point.*loss))
                result.append({static_cast<double>(point.step), point.*loss});
        return result;
    }

    void choose(const QString& title)
    {
        const int index = choice()->findText(title);
        QVERIFY2(index >= 0, qPrintable(title));
        choice()->setFocus();
        while (choice()->currentIndex() != index)
            QTest::keyClick(choice(), choice()->currentIndex() < index ? Qt::Key_Down : Qt::Key_Up);
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openModel(demoFolder() + u"/stories260K"_s);
        session().recipeState().change([](Recipe& recipe) {
            recipe.method = "svd";
            recipe.calibration = WindowOptions{
                .text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 64, .count = 16};
            recipe.distillation =
                DistillationOptions{.training = {.windows = 16, .epochs = 30, .batch = 4, .learningRate = 1e-4}};
            recipe.recovery =
                RecoveryOptions{.training = {.windows = 16, .epochs = 30, .batch = 4, .learningRate = 1e-4}};
        });
        session().plan().setKeptRatio(0.5);
        auto* views = m_fixture->window().views();
        views->setCurrentWidget(m_fixture->window().trainingPanel());
        QVERIFY(drawn().series.isEmpty());
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void curvesGrowWhileTheRunGoesOn()
    {
        QCOMPARE(session().startRun(), QString());
        // Seen before the run is over, and growing.
        qsizetype first = 0;
        QVERIFY(waitUntil([&] {
            first = drawn().series.isEmpty() ? 0 : drawn().series.last().points.size();
            return first > 0;
        }));
        QVERIFY(session().jobs().running() != nullptr);
        const QString told = state();
        QVERIFY(told.startsWith(u"run 1: "_s));
        QVERIFY(waitUntil([&] { return session().jobs().running() == nullptr || state() != told; }));
        QVERIFY(session().jobs().running() != nullptr);
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }, 120));
        const Job& job = session().jobs().jobs().back();
        QVERIFY2(job.state == JobState::Finished, qPrintable(job.failure.message));
        m_run = job.run;
    }

    void afterwardsTheyAreThoseOfTheStore()
    {
        const std::vector<TrainingPoint> points = session().runs().store()->trainingPoints(m_run);
        QVERIFY(points.size() > 10);
        QTRY_COMPARE(choice()->currentText(), u"Recovery"_s);
        QTRY_COMPARE(drawn().series.size(), 2);
        QTRY_COMPARE(drawn().series[0].points, curve(points, "recover", "", &TrainingPoint::loss));
        QCOMPARE(drawn().series[1].points, curve(points, "recover", "", &TrainingPoint::heldOutLoss));
        QVERIFY(drawn().series[1].points.size() > 1);
        QCOMPARE(drawn().y.title, u"loss, nats per token"_s);
        QVERIFY(drawn().y.logarithmic);

        choose(u"Distillation"_s);
        const std::size_t blocks = session().document()->model.config().blocks;
        QCOMPARE(drawn().series.size(), qsizetype(blocks));
        for (const PlotSeries& series : drawn().series)
            QCOMPARE(series.points,
                     curve(points, "distill", "model.layers." + series.name.section(u' ', 1).toStdString(),
                           &TrainingPoint::loss));
        const std::string part = "model.layers.1";
        choose(u"Distillation, block 1"_s);
        QCOMPARE(drawn().series.size(), 2);
        QCOMPARE(drawn().series[0].points, curve(points, "distill", part, &TrainingPoint::loss));
        QCOMPARE(drawn().series[1].points, curve(points, "distill", part, &TrainingPoint::heldOutLoss));
        QVERIFY(drawn().series[1].points.size() > 1);
    }

    void anotherRunHasItsOwn()
    {
        session().recipeState().change([](Recipe& recipe) {
            recipe.distillation.reset();
            recipe.recovery.reset();
        });
        QCOMPARE(session().startRun(), QString());
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }));
        QTRY_VERIFY(drawn().series.isEmpty());
        QVERIFY(!choice()->isEnabled());
        // The first again, as the table of runs shows it.
        RunsPanel* runs = m_fixture->window().runsPanel();
        m_fixture->window().views()->setCurrentWidget(runs);
        QVERIFY(waitUntil([&] { return runs->model() != nullptr && session().runs().runs().size() == 2; }));
        session().showRun(m_run);
        m_fixture->window().views()->setCurrentWidget(m_fixture->window().trainingPanel());
        QTRY_COMPARE(drawn().series.size(), 2);
        QVERIFY(state().startsWith(u"run %1: "_s.arg(m_run)));
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
    std::int64_t m_run = 0;
};

QTEST_MAIN(TestWindowTraining)
#include "tst_window_training.moc"
