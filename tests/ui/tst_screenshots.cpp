#include "tests/ui/window_fixture.h"
#include "ui/panels/error_map_panel.h"
#include "ui/panels/spectrum_panel.h"
#include "ui/plots/rank_bars.h"
#include "ui/theme/theme.h"

#include <QDir>
#include <QTabWidget>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// Pictures of every view, from the real window on SmolLM2. They go to $RANKWRIGHT_SCREENSHOTS, or a temporary folder.
class TestScreenshots : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_folder = qEnvironmentVariable("RANKWRIGHT_SCREENSHOTS", m_temporary.path());
        QVERIFY(QDir().mkpath(m_folder));
    }

    void startPage()
    {
        QTest::qWait(300);
        take(u"start"_s);
    }

    void spectrum()
    {
        m_fixture->openModel(qEnvironmentVariable("RANKWRIGHT_SMOLLM2"));
        Session& session = m_fixture->session();
        session.recipeState().change([](Recipe& recipe) {
            recipe.name = "whitened, kept 0.8";
            recipe.method = "whitened-svd";
            recipe.calibration = WindowOptions{
                .text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 64, .count = 16};
        });
        QVERIFY(waitUntil([&] { return session.calibration().state() == CalibrationService::State::Missing; }));
        QCOMPARE(session.startCalibration(), QString());
        QVERIFY(waitUntil([&] { return session.calibration().state() == CalibrationService::State::Ready; }, 240));
        session.selection().set({9});
        m_fixture->window().spectrumPanel()->setMethods({u"svd"_s, u"asvd"_s, u"whitened-svd"_s, u"nsvd"_s});
        QVERIFY(waitUntil([&] {
            for (const char* method : {"svd", "asvd", "whitened-svd", "nsvd"})
                if (!session.spectra().find(session.analysisOf(method, {}), 9))
                    return false;
            return true;
        }));
        QTest::qWait(200);
        take(u"spectrum"_s);
    }

    void rankPlan()
    {
        Session& session = m_fixture->session();
        QVERIFY(waitUntil([&] { return session.plan().known() == 210; }, 240));
        session.plan().setGhost("marginal-loss");
        m_fixture->window().views()->setCurrentIndex(1);
        QVERIFY(waitUntil([&] { return !session.plan().ghost().empty(); }));
        session.plan().setRanks({10, 11}, 100);
        QTest::qWait(100);
        take(u"rank-plan"_s);
    }

    void errorMap()
    {
        m_fixture->window().views()->setCurrentIndex(2);
        QTest::qWait(100);
        take(u"error-map"_s);
    }

    void running()
    {
        Session& session = m_fixture->session();
        QCOMPARE(session.startRun(), QString());
        QVERIFY(waitUntil(
            [&] {
                const Job* job = session.jobs().running();
                return job != nullptr && job->progress.stage == u"factorise"_s && job->progress.done > 60;
            },
            120));
        m_fixture->window().errorMapPanel()->setQuantity(ErrorMapPanel::Quantity::Measured);
        QTest::qWait(100);
        take(u"running"_s);
        session.jobs().cancelAll();
        QVERIFY(waitUntil([&] { return session.jobs().idle(); }));
    }

private:
    /// Light and dark; the scale is that of the process (QT_SCALE_FACTOR).
    void take(const QString& name)
    {
        const auto scale = static_cast<int>(m_fixture->window().devicePixelRatioF());
        for (const Appearance appearance : {Appearance::Dark, Appearance::Light}) {
            applyAppearance(*qApp, appearance);
            QTest::qWait(150);
            const QPixmap picture = m_fixture->window().grab();
            const QString file = u"%1/%2-%3-%4x.png"_s.arg(
                m_folder, name, appearance == Appearance::Dark ? u"dark"_s : u"light"_s, QString::number(scale));
            const QImage image = picture.toImage().convertToFormat(QImage::Format_RGB32);
            constexpr int smallest = 0; // the best compression that PNG has
            QVERIFY(image.save(file, "PNG", smallest));
            QVERIFY(coloursOf(image) > 20);
        }
    }

    /// How many colours a picture has: an empty one has few.
    static qsizetype coloursOf(const QImage& image)
    {
        QSet<QRgb> colours;
        for (int y = 0; y < image.height(); y += 3)
            for (int x = 0; x < image.width(); x += 3)
                colours.insert(image.pixel(x, y));
        return colours.size();
    }

    QTemporaryDir m_temporary;
    QString m_folder;
    std::unique_ptr<WindowFixture> m_fixture;
};

QTEST_MAIN(TestScreenshots)
#include "tst_screenshots.moc"
