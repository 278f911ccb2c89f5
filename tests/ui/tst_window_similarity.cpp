#include "core/base/file.h"
#include "core/calibration/similarity.h"
#include "core/compute/device.h"
#include "tests/ui/window_fixture.h"
#include "ui/panels/similarity_panel.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QAction>
#include <QComboBox>
#include <QDropEvent>
#include <QLabel>
#include <QListWidget>
#include <QMessageBox>
#include <QMimeData>
#include <QPushButton>
#include <QSpinBox>
#include <QTabWidget>
#include <QToolButton>

#include <array>
#include <cmath>
#include <random>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// The study of texts in the window on stories260K: its figures are those of the engine, called directly on statistics
/// that are taken here.
class TestWindowSimilarity : public QObject
{
    Q_OBJECT

private:
    Session& session() { return m_fixture->session(); }
    SimilarityPanel* panel() { return m_fixture->window().similarityPanel(); }
    const PlotData& drawn() { return panel()->plot()->data(); }
    QString state() { return m_fixture->find<QLabel>("similarityState")->text(); }
    std::filesystem::path heldOut() const { return std::filesystem::path(RANKWRIGHT_DEMO) / "stories-heldout.txt"; }
    std::filesystem::path noise() const { return m_fixture->folder() / "noise.txt"; }

    void drop(const QList<std::filesystem::path>& files)
    {
        QMimeData data;
        QList<QUrl> urls;
        for (const std::filesystem::path& file : files)
            urls.append(QUrl::fromLocalFile(toQString(file)));
        data.setUrls(urls);
        QDragEnterEvent enter(panel()->rect().center(), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(panel(), &enter);
        QVERIFY(enter.isAccepted());
        QDropEvent drop(panel()->rect().center(), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(panel(), &drop);
    }

    void choose(const char* box, int index)
    {
        auto* list = m_fixture->find<QComboBox>(box);
        list->setFocus();
        while (list->currentIndex() != index)
            QTest::keyClick(list, list->currentIndex() < index ? Qt::Key_Down : Qt::Key_Up);
    }

    void press(const char* name) { QTest::mouseClick(m_fixture->find<QPushButton>(name), Qt::LeftButton); }

    const Job& finishedJob()
    {
        if (!waitUntil([this] { return session().jobs().idle(); }, 120))
            qFatal("the comparison does not end");
        return session().jobs().jobs().back();
    }

    CalibrationSet statisticsOf(const std::filesystem::path& text)
    {
        const Model& model = session().document()->model;
        WindowOptions wanted = *session().recipeState().recipe().calibration;
        wanted.text = text;
        return calibrate(model, *m_device, makeWindows(*model.tokenizer(), wanted, {}),
                         m_fixture->folder() / "own-cache", {}, {});
    }

    /// Points of a curve: a field of the engine's figures at one site.
    QVector<QPointF> expected(const std::vector<TapSimilarity>& taps, double TapSimilarity::*field, TapSite site)
    {
        QVector<QPointF> points;
        for (const TapInfo& tap : session().document()->model.taps())
            if (tap.site == site)
                points.append({static_cast<double>(tap.block), taps[tap.index].*field});
        return points;
    }

    static void compareCurves(const QVector<QPointF>& shown, const QVector<QPointF>& wanted)
    {
        QCOMPARE(shown.size(), wanted.size());
        for (qsizetype i = 0; i < shown.size(); ++i) {
            QCOMPARE(shown[i].x(), wanted[i].x());
            // Sums of several threads may come in another order.
            QVERIFY2(std::abs(shown[i].y() - wanted[i].y()) < 1e-9, qPrintable(QString::number(shown[i].y(), 'g', 12)));
        }
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        std::mt19937 random(11);
        std::string text;
        for (int i = 0; i < 20000; ++i)
            text += i % 6 == 5 ? ' ' : static_cast<char>('a' + random() % 26);
        writeFileAtomically(noise(), text);
        m_fixture->openModel(demoFolder() + u"/stories260K"_s);
        m_fixture->window().views()->setCurrentWidget(panel());
        QVERIFY(panel()->isVisible());
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void whatIsMissingIsTold()
    {
        press("compareTexts");
        QCOMPARE(state(), u"Choose a calibration text first."_s);
        m_fixture->openDemoToCalibrate();
        press("compareTexts");
        QCOMPARE(state(), u"Add a text to compare with first."_s);
        QVERIFY(drawn().series.isEmpty());
        QVERIFY(session().jobs().jobs().empty());
    }

    void figuresAreThoseOfTheEngine()
    {
        drop({heldOut(), noise()});
        drop({noise()}); // once is enough
        QCOMPARE(m_fixture->find<QListWidget>("similarityTexts")->count(), 2);
        m_fixture->find<QSpinBox>("similarityDirections")->setValue(5);
        press("compareTexts");
        QVERIFY(!m_fixture->find<QPushButton>("compareTexts")->isEnabled());
        const Job& job = finishedJob();
        QVERIFY2(job.state == JobState::Finished, qPrintable(job.failure.message));
        QCOMPARE(job.progress.fraction, 1.0);

        const Model& model = session().document()->model;
        const CalibrationSet reference = statisticsOf(session().recipeState().recipe().calibration->text);
        const std::array others{statisticsOf(heldOut()), statisticsOf(noise())};
        m_taps = compareCalibrations(model, *m_device, reference, others, 5, 1, {});
        // Every input has curves of its own, text after text.
        QCOMPARE(drawn().series.size(), qsizetype(2 * siteCount));
        for (std::size_t text = 0; text < 2; ++text)
            for (std::size_t site = 0; site < siteCount; ++site)
                compareCurves(drawn().series[qsizetype(text * siteCount + site)].points,
                              expected(m_taps[text], &TapSimilarity::overlap, static_cast<TapSite>(site)));
        QCOMPARE(drawn().series[0].name, u"stories-heldout.txt: q, k, v"_s);
        QCOMPARE(drawn().series[7].name, u"noise.txt: down"_s);
        QVERIFY(drawn().title.contains(u"stories-calibration.txt"_s));
        QCOMPARE(state(), u"stories-calibration.txt, 8 windows of 64 tokens"_s);

        choose("similarityMeasure", 1);
        for (std::size_t text = 0; text < 2; ++text)
            compareCurves(drawn().series[qsizetype(text * siteCount + 2)].points,
                          expected(m_taps[text], &TapSimilarity::cosine, TapSite::MlpInput));
        choose("similaritySite", 2);
        QCOMPARE(drawn().series.size(), 2);
        for (qsizetype text = 0; text < 2; ++text)
            compareCurves(drawn().series[text].points,
                          expected(m_taps[std::size_t(text)], &TapSimilarity::cosine, TapSite::OutputInput));
        QCOMPARE(drawn().series[0].name, u"stories-heldout.txt"_s);
        // Stories are more like stories than noise is.
        for (qsizetype block = 0; block < drawn().series[0].points.size(); ++block)
            QVERIFY(drawn().series[0].points[block].y() > drawn().series[1].points[block].y());

        double mean = 0.0;
        double squares = 0.0;
        const QVector<QPointF> points = expected(m_taps[1], &TapSimilarity::cosine, TapSite::OutputInput);
        for (const QPointF& point : points)
            mean += point.y() / double(points.size());
        for (const QPointF& point : points)
            squares += (point.y() - mean) * (point.y() - mean) / double(points.size());
        QVERIFY(m_fixture->find<QLabel>("similarityFigures")
                    ->text()
                    .endsWith(u"noise.txt: %1 ± %2"_s.arg(mean, 0, 'f', 4).arg(std::sqrt(squares), 0, 'f', 4)));
    }

    void theTableHasTheSameFigures()
    {
        const QList<QByteArray> lines = panel()->plot()->csv(false).trimmed().split('\n');
        QCOMPARE(lines[0].trimmed(), QByteArray("block,stories-heldout.txt,noise.txt"));
        const QVector<QPointF> first = expected(m_taps[0], &TapSimilarity::cosine, TapSite::OutputInput);
        const QVector<QPointF> second = expected(m_taps[1], &TapSimilarity::cosine, TapSite::OutputInput);
        QCOMPARE(lines.size(), first.size() + 1);
        for (qsizetype i = 0; i < first.size(); ++i) {
            const QList<QByteArray> cells = lines[i + 1].trimmed().split(',');
            QCOMPARE(cells.size(), 3);
            QCOMPARE(cells[0].toDouble(), first[i].x());
            QVERIFY(std::abs(cells[1].toDouble() - first[i].y()) < 1e-9);
            QVERIFY(std::abs(cells[2].toDouble() - second[i].y()) < 1e-9);
        }
    }

    void aMixtureIsComparedAsAWhole()
    {
        const WindowOptions calibration = *session().recipeState().recipe().calibration;
        WindowOptions second = calibration;
        second.text = noise();
        session().recipeState().change([&](Recipe& recipe) { recipe.moreCalibrations = {{second, 1.0}}; });
        press("compareTexts");
        QVERIFY(finishedJob().state == JobState::Finished);
        QCOMPARE(state(), u"stories-calibration.txt mixed with 1 more, 8 windows of 64 tokens"_s);
        // Half of what is calibrated on now is the noise itself.
        const QVector<QPointF> before = expected(m_taps[1], &TapSimilarity::cosine, TapSite::OutputInput);
        for (qsizetype block = 0; block < before.size(); ++block)
            QVERIFY(drawn().series[1].points[block].y() > before[block].y());
        session().recipeState().change([](Recipe& recipe) { recipe.moreCalibrations.clear(); });
    }

    void aTextThatIsTooShortIsNamed()
    {
        const std::filesystem::path empty = m_fixture->folder() / "short.txt";
        writeFileAtomically(empty, "Too short.");
        const auto shown = session().similarity();
        drop({empty});
        press("compareTexts");
        QCOMPARE(finishedJob().state, JobState::Failed);
        auto* box = m_fixture->find<QMessageBox>("problem");
        QVERIFY(box != nullptr && box->text().contains(u"short.txt"_s));
        QTest::keyClick(box, Qt::Key_Escape);
        QCOMPARE(session().similarity(), shown);
        auto* texts = m_fixture->find<QListWidget>("similarityTexts");
        texts->setCurrentRow(2);
        QTest::mouseClick(m_fixture->find<QToolButton>("removeSimilarityTexts"), Qt::LeftButton);
        QCOMPARE(texts->count(), 2);
    }

    void itCanBeCancelled()
    {
        session().recipeState().change([](Recipe& recipe) {
            recipe.calibration->length = 256;
            recipe.calibration->count = 64;
            recipe.calibration->order =
                WindowOrder::Random; // windows may overlap: a short text has as many as are asked
        });
        const auto shown = session().similarity();
        press("compareTexts");
        QVERIFY(waitUntil([this] { return state().startsWith(u"comparing"_s); }));
        for (QAction* action : m_fixture->window().findChildren<QAction*>())
            if (action->shortcut() == QKeySequence(u"Ctrl+."_s))
                action->trigger();
        QCOMPARE(finishedJob().state, JobState::Cancelled);
        QVERIFY(m_fixture->find<QPushButton>("compareTexts")->isEnabled());
        QCOMPARE(session().similarity(), shown);
    }

    void anotherModelHasNone()
    {
        session().closeModel();
        QVERIFY(drawn().series.isEmpty());
        QVERIFY(session().similarity() == nullptr);
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
    std::shared_ptr<const Device> m_device = makeCpuDevice(1);
    std::vector<std::vector<TapSimilarity>> m_taps; ///< by text and tap
};

QTEST_MAIN(TestWindowSimilarity)
#include "tst_window_similarity.moc"
