#include "core/allocation/allocation.h"
#include "core/compute/device.h"
#include "tests/ui/window_fixture.h"
#include "ui/panels/spectrum_panel.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QSpinBox>

#include <cmath>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// Gradients from the recipe panel to a run on stories260K: every figure is the engine's, computed here from the files
/// that the window's calibration wrote.
class TestWindowCurvature : public QObject
{
    Q_OBJECT

private:
    Session& session() { return m_fixture->session(); }
    SpectrumPanel* spectrum() { return m_fixture->window().spectrumPanel(); }

    std::vector<double> nats(const char* method, const LinearInfo& info)
    {
        const auto& calibration = session().calibration();
        const TapStatistics inputs = CalibrationSet::open(calibration.set()->folder()).load(info.tap);
        const TapStatistics outputs = CalibrationSet::open(calibration.gradients()->folder()).load(info.index);
        const auto device = makeCpuDevice(1);
        const LinearProblem problem{.name = info.name,
                                    .W = convertMatrix<double>(session().document()->model.readDense(info)),
                                    .statistics = &inputs,
                                    .gradients = &outputs};
        return findMethod(method).analyze(*device, problem, {})->curvatureCurve(*device, problem);
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openDemoToCalibrate();
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void gradientsAreTicked()
    {
        auto* calibrate = m_fixture->find<QPushButton>("calibrate");
        QTest::mouseClick(calibrate, Qt::LeftButton);
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Ready; }));
        QVERIFY(session().calibration().gradients() == nullptr);
        spectrum()->setMethods({u"curvature-svd"_s});
        QTRY_VERIFY(m_fixture->find<QLabel>("spectrumFigures")->text().contains(u"needs gradients"_s));

        auto* ticked = m_fixture->find<QCheckBox>("gradients");
        ticked->setFocus();
        QTest::keyClick(ticked, Qt::Key_Space);
        QVERIFY(session().recipeState().recipe().forecast);
        m_fixture->find<QSpinBox>("gradientSeed")->setValue(5);
        QCOMPARE(session().recipeState().recipe().curvature.seed, std::uint64_t(5));
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Missing; }));
        QTRY_VERIFY(m_fixture->find<QLabel>("estimate")->text().contains(u"gradients"_s));
        QTest::mouseClick(calibrate, Qt::LeftButton);
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Ready; }));
        const Model& model = session().document()->model;
        QCOMPARE(session().calibration().gradients()->fingerprint(),
                 curvatureFingerprint(model, *session().calibration().windows(),
                                      {.labels = GradientLabels::Sampled, .seed = 5}));
    }

    void spectraAreInNats()
    {
        session().selection().set({4});
        spectrum()->setQuantity(SpectrumPanel::Quantity::Nats);
        spectrum()->setMethods({u"svd"_s, u"whitened-svd"_s, u"curvature-svd"_s});
        QTRY_COMPARE(spectrum()->plot()->data().series.size(), 3);
        const LinearInfo& info = session().document()->model.linears()[4];
        int series = 0;
        for (const char* method : {"svd", "whitened-svd", "curvature-svd"}) {
            const std::vector<double> expected = nats(method, info);
            const PlotSeries& shown = spectrum()->plot()->data().series[series++];
            QCOMPARE(shown.points.size(), qsizetype(expected.size()));
            for (std::size_t rank = 0; rank < expected.size(); ++rank)
                QVERIFY(std::abs(shown.points[qsizetype(rank)].y() - expected[rank]) <= 1e-9 * expected[0]);
        }
    }

    void ranksAreAllocatedInNats()
    {
        auto* allocator = m_fixture->find<QComboBox>("allocator");
        allocator->setCurrentIndex(allocator->findData(u"curvature"_s));
        QVERIFY(allocator->currentIndex() >= 0);
        emit allocator->activated(allocator->currentIndex());
        session().plan().setKeptRatio(0.7);
        QVERIFY(waitUntil([this] { return !session().plan().waiting(); }));
        std::vector<AllocationItem> items;
        std::vector<std::vector<double>> curves;
        for (const LinearInfo& info : session().document()->model.linears()) {
            curves.push_back(nats("whitened-svd", info));
            items.push_back({.name = info.name,
                             .shape = info.shape,
                             .loss = {},
                             .weight = 1.0,
                             .rank = {},
                             .block = info.block,
                             .role = std::string(roleName(info.role))});
            items.back().setLossInNats(curves.back());
        }
        const AllocationPlan plan = allocate("curvature", StructureKind::Factors, 0.7, items);
        double sum = 0.0;
        for (std::size_t i = 0; i < items.size(); ++i) {
            QCOMPARE(session().plan().rank(static_cast<int>(i)), plan.ranks[i].rank);
            if (plan.ranks[i].structure != StructureKind::Dense)
                sum += curves[i][plan.ranks[i].rank];
        }
        QVERIFY(std::abs(session().plan().nats() - sum) <= 1e-9 * sum);
        QVERIFY(m_fixture->find<QLabel>("predictedLoss")->text().contains(u"nats"_s));
    }

    void aRunByCurvatureHasThePlannedRanks()
    {
        auto* method = m_fixture->find<QComboBox>("method");
        method->setCurrentIndex(method->findData(u"curvature-svd"_s));
        QCOMPARE(session().recipeState().recipe().method, std::string("curvature-svd"));
        QVERIFY(waitUntil([this] { return session().plansWithMethod() && !session().plan().waiting(); }));
        const double planned = session().plan().nats();
        QCOMPARE(session().startRun(), QString());
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }));
        const Job& job = session().jobs().jobs().back();
        QVERIFY2(job.state == JobState::Finished, qPrintable(job.failure.message));
        const RunRecord record = session().runs().store()->run(job.run);
        double sum = 0.0;
        for (const LinearOutcome& outcome : record.result.linears) {
            const LinearInfo& info = session().document()->model.linear(outcome.name);
            QCOMPARE(outcome.rank, session().plan().rank(static_cast<int>(info.index)));
            sum += outcome.structure == StructureKind::Dense ? 0.0 : outcome.predictedLoss;
        }
        QVERIFY(std::abs(planned - sum) <= 1e-9 * sum);
    }

    void withoutGradientsItIsToldWhatIsMissing()
    {
        session().recipeState().change([](Recipe& recipe) {
            recipe.forecast = false;
            recipe.method = "whitened-svd";
            recipe.curvature.seed = 6;
        });
        // The allocation still needs them, of another seed now.
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Missing; }));
        QVERIFY(waitUntil([this] { return session().plan().waiting(); }));
        QVERIFY(session().startRun().contains(u"gradients"_s));
        QVERIFY(!m_fixture->find<QCheckBox>("gradients")->isEnabled());
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
};

QTEST_MAIN(TestWindowCurvature)
#include "tst_window_curvature.moc"
