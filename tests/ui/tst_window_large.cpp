#include "tests/ui/large_model.h"
#include "tests/ui/slider_times.h"
#include "tests/ui/watched_application.h"
#include "tests/ui/window_fixture.h"
#include "ui/panels/error_map_panel.h"
#include "ui/panels/model_panel.h"
#include "ui/panels/spectrum_panel.h"

#include <QScrollBar>
#include <QSlider>
#include <QTabWidget>
#include <QTreeView>

#include <algorithm>
#include <cmath>
#include <random>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// How long the window's thread is busy on models of real size: SmolLM2 with runs that take all processors, and a plan
/// of the shape of a 7B model, 224 linears of 4096 values.
class TestWindowLarge : public QObject
{
    Q_OBJECT

private:
    static WatchedApplication& watched() { return *static_cast<WatchedApplication*>(qApp); }

    static void tell(const char* what)
    {
        qInfo("%s: longest busy at once %.1f ms of processor time (%s), %.1f ms by the clock", what,
              watched().longestBusyMilliseconds(), qPrintable(watched().longestEvent()),
              watched().longestWallMilliseconds());
    }

    static void measureSlider(WindowFixture& fixture, const char* what)
    {
        qInfo("%s: %s", what, qPrintable(toText(timeSlider(fixture))));
    }

private slots:
    void smolLm2StaysFluidWhileARunTakesAllProcessors()
    {
        WindowFixture fixture;
        watched().reset();
        fixture.openModel(qEnvironmentVariable("RANKWRIGHT_SMOLLM2"));
        tell("opening SmolLM2");
        QVERIFY2(watched().longestBusyMilliseconds() <= mostBusyMilliseconds(), qPrintable(watched().longestEvent()));
        Session& session = fixture.session();
        session.recipeState().change([](Recipe& recipe) {
            recipe.method = "whitened-svd";
            recipe.calibration = WindowOptions{
                .text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 128, .count = 8};
        });
        watched().reset();
        QCOMPARE(session.startRun(), QString());
        QVERIFY(waitUntil([&] { return session.jobs().running() != nullptr; }));
        auto* slider = fixture.find<QSlider>("keptSlider");
        QTreeView* tree = fixture.window().modelPanel()->tree();
        int step = 0;
        // A person who does not wait for it: views, slider, tree, selection.
        while (session.jobs().running() != nullptr) {
            fixture.window().views()->setCurrentIndex(step % fixture.window().views()->count());
            QTest::keyClick(slider, step % 2 == 0 ? Qt::Key_Left : Qt::Key_Right);
            session.selection().set({step % 210, (step + 7) % 210});
            tree->verticalScrollBar()->setValue(step * 3 % std::max(1, tree->verticalScrollBar()->maximum()));
            QTest::qWait(60);
            ++step;
        }
        tell("SmolLM2 while calibrating and compressing");
        QVERIFY(step > 20);
        QVERIFY2(watched().longestBusyMilliseconds() <= mostBusyMilliseconds(), qPrintable(watched().longestEvent()));
        const Job& job = session.jobs().jobs().back();
        QVERIFY2(job.state == JobState::Finished, qPrintable(job.failure.message));
        const RunRecord record = session.runs().store()->run(job.run);
        QCOMPARE(record.result.linears.size(), std::size_t(210));
        QTRY_COMPARE_WITH_TIMEOUT(session.measuredRun(), job.run, 20000);

        // While the run went on, the selection may have had plain spectra made of all linears.
        QVERIFY(waitUntil([&] { return session.plansWithMethod() && session.plan().known() == 210; }, 240));
        fixture.window().views()->setCurrentIndex(1);
        measureSlider(fixture, "SmolLM2, uniform");
        session.plan().setAllocator("marginal-loss");
        QVERIFY(waitUntil([&] { return !session.plan().waiting(); }));
        measureSlider(fixture, "SmolLM2, marginal loss");

        const std::filesystem::path out = fixture.folder() / "exported";
        session.jobs().addExport(job.run, {.folder = out}, u"export"_s);
        QVERIFY(waitUntil([&] { return session.jobs().idle(); }, 300));
        QVERIFY2(session.jobs().jobs().back().state == JobState::Finished,
                 qPrintable(session.jobs().jobs().back().failure.message));
        fixture.openModel(QString::fromStdString(out.string()));
        QTRY_COMPARE(session.document()->model.linears().size(), std::size_t(210));
        QCOMPARE(session.document()->model.linears()[0].rank, record.result.linears[0].rank);
    }

    void aPlanOfSevenBillionParametersIsFluid()
    {
        WindowFixture fixture;
        const std::filesystem::path model = fixture.folder() / "7b";
        writeLargeModel(model);
        fixture.openModel(QString::fromStdString(model.string()));
        Session& session = fixture.session();
        QCOMPARE(session.document()->model.linears().size(), std::size_t(224));
        session.spectra().cancelWaiting();
        std::mt19937_64 random(5);
        std::uniform_real_distribution<double> noise(0.5, 1.5);
        watched().reset();
        for (const LinearInfo& info : session.document()->model.linears()) {
            LinearSpectrum spectrum;
            spectrum.linear = info.index;
            spectrum.shape = info.shape;
            const std::size_t full = info.shape.fullRank();
            const double decay = 0.001 * noise(random);
            for (std::size_t i = 0; i < full; ++i)
                spectrum.singularValues.push_back(std::exp(-decay * static_cast<double>(i)) * noise(random));
            std::ranges::sort(spectrum.singularValues, std::greater());
            spectrum.loss.assign(full + 1, 0.0);
            for (std::size_t rank = full; rank-- > 0;)
                spectrum.loss[rank] =
                    spectrum.loss[rank + 1] + spectrum.singularValues[rank] * spectrum.singularValues[rank];
            spectrum.totalEnergy = spectrum.loss.front();
            session.spectra().insert(session.plan().analysis(),
                                     std::make_shared<const LinearSpectrum>(std::move(spectrum)));
        }
        QVERIFY(waitUntil([&] { return session.plan().known() == 224; }));
        fixture.window().views()->setCurrentIndex(1);
        measureSlider(fixture, "7B shape, uniform");
        session.plan().setAllocator("marginal-loss");
        QVERIFY(waitUntil([&] { return !session.plan().waiting(); }));
        measureSlider(fixture, "7B shape, marginal loss");
        watched().reset();
        for (int step = 0; step < 40; ++step) {
            fixture.window().views()->setCurrentIndex(step % fixture.window().views()->count());
            session.selection().set({step * 5 % 224, (step * 5 + 7) % 224, (step * 5 + 14) % 224});
            QTest::qWait(30);
        }
        tell("7B shape, looking around");
        QVERIFY2(watched().longestBusyMilliseconds() <= mostBusyMilliseconds(), qPrintable(watched().longestEvent()));
    }
};

int main(int argc, char** argv)
{
    WatchedApplication application(argc, argv);
    TestWindowLarge test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_window_large.moc"
