#include "core/compute/device.h"
#include "core/evaluation/evaluation.h"
#include "core/evaluation/token_comparison.h"
#include "core/experiment/runner.h"
#include "tests/ui/watched_application.h"
#include "tests/ui/window_fixture.h"
#include "ui/panels/text_panel.h"
#include "ui/plots/token_view.h"
#include "ui/session/text.h"
#include "ui/theme/colours.h"
#include "ui/theme/theme.h"

#include <QClipboard>
#include <QComboBox>
#include <QDir>
#include <QFile>
#include <QLabel>
#include <QPlainTextEdit>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTabWidget>
#include <QTextBrowser>
#include <QToolButton>

#include <algorithm>
#include <cmath>
#include <utility>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// The Text view in the real window on stories260K: a prompt is typed, continued and scored by real events, and what is
/// shown is compared with the engine called directly.
class TestText : public QObject
{
    Q_OBJECT

private:
    static constexpr const char* story =
        "Lily had a red ball. She liked to play with it in the park. One day, the ball "
        "rolled away and fell into the pond. Lily was sad, but a big frog came to help.";

    Session& session() { return m_fixture->session(); }
    TextPanel* panel() { return m_fixture->window().findChild<TextPanel*>(); }
    static WatchedApplication& watched() { return *static_cast<WatchedApplication*>(qApp); }

    static void click(QWidget* widget)
    {
        QTest::mouseClick(widget, Qt::LeftButton, Qt::NoModifier, widget->rect().center());
    }

    void type(const QString& text)
    {
        panel()->prompt()->setFocus();
        QTest::keyClick(panel()->prompt(), Qt::Key_A, Qt::ControlModifier);
        QTest::keyClick(panel()->prompt(), Qt::Key_Delete);
        QTest::keyClicks(panel()->prompt(), text);
        QCOMPARE(panel()->prompt()->toPlainText(), text);
    }

    void setTokens(int tokens)
    {
        auto* count = m_fixture->find<QSpinBox>("textTokens");
        count->setFocus();
        count->selectAll();
        QTest::keyClicks(count, QString::number(tokens));
        QTest::keyClick(count, Qt::Key_Tab);
        QCOMPARE(count->value(), tokens);
    }

    bool idle()
    {
        return waitUntil([this] { return panel()->service().activity() == TextService::Activity::None; });
    }

    QString problem() { return m_fixture->find<QLabel>("textProblem")->text(); }

    /// A run made by the engine, outside the window.
    std::int64_t makeRun(double keptRatio)
    {
        Recipe recipe;
        recipe.model = modelPath();
        recipe.method = "svd";
        recipe.keptRatio = keptRatio;
        Store store(m_fixture->places().store);
        return runRecipe(recipe, store, m_fixture->places().run, {}).id;
    }

    static std::filesystem::path modelPath() { return std::filesystem::path(RANKWRIGHT_DEMO) / "stories260K"; }

    Model compressed(std::int64_t run)
    {
        const RunRecord record = session().runs().store()->run(run);
        return Model::open(modelPath()).withLinears(runLinears(record.result.folder, record.result.fingerprint));
    }

    static std::vector<std::int32_t> idsOf(const std::string& text)
    {
        const auto tokenizer = Model::open(modelPath()).tokenizer();
        std::vector<std::int32_t> ids = tokenizer->prefix();
        for (const std::int32_t id : tokenizer->encode(text))
            ids.push_back(id);
        return ids;
    }

    /// Rows of comma-separated values, where texts may be quoted.
    static QList<QStringList> rowsOf(const QString& csv)
    {
        QList<QStringList> rows;
        QStringList row;
        QString cell;
        bool quoted = false;
        for (const QChar character : csv) {
            if (character == u'"') {
                quoted = !quoted;
            } else if (quoted || (character != u',' && character != u'\n')) {
                cell += character;
            } else {
                row.append(std::exchange(cell, {}));
                if (character == u'\n')
                    rows.append(std::exchange(row, {}));
            }
        }
        return rows;
    }

    static double perplexity(const Model& model, const std::vector<std::int32_t>& ids)
    {
        TokenWindows windows;
        windows.ids = {ids};
        return evaluatePerplexity(model, *makeCpuDevice(1), windows, {}, {}).perplexity;
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openModel(toQString(modelPath()));
        QTabWidget* views = m_fixture->window().views();
        QCOMPARE(views->tabText(views->count() - 1), u"Text"_s);
        views->setCurrentIndex(views->count() - 1);
        QVERIFY(panel()->isVisible());
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void withoutARunTheOriginalWrites()
    {
        QCOMPARE(panel()->run(), std::int64_t(0));
        QVERIFY(!m_fixture->find<QToolButton>("score")->isEnabled());
        type(u"Once upon a time"_s);
        setTokens(12);
        click(m_fixture->find<QToolButton>("generate"));
        QVERIFY(idle());
        const GenerationResult expected =
            generateGreedy(Model::open(modelPath()), *makeCpuDevice(1), "Once upon a time", 12, {}, {});
        QCOMPARE(m_fixture->find<QPlainTextEdit>("originalText")->toPlainText(),
                 u"Once upon a time"_s + toQString(expected.text));
        QVERIFY(m_fixture->find<QPlainTextEdit>("compressedText")->toPlainText().isEmpty());
    }

    void bothModelsWriteSideBySide()
    {
        m_first = makeRun(0.95);
        session().runs().refresh();
        QTRY_COMPARE(panel()->run(), m_first);
        type(toQString(story));
        setTokens(60);
        QSignalSpy pieces(&panel()->service(), &TextService::pieceCame);
        QSignalSpy texts(&panel()->service(), &TextService::generated);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(idle());
        QCOMPARE(problem(), QString());
        QVERIFY(!pieces.isEmpty());
        QCOMPARE(texts.size(), 1);

        const auto device = makeCpuDevice(1);
        const GenerationResult original = generateGreedy(Model::open(modelPath()), *device, story, 60, {}, {});
        const GenerationResult other = generateGreedy(compressed(m_first), *device, story, 60, {}, {});
        QVERIFY(original.generated != other.generated);
        QCOMPARE(m_fixture->find<QPlainTextEdit>("originalText")->toPlainText(),
                 toQString(story) + toQString(original.text));
        QCOMPARE(m_fixture->find<QPlainTextEdit>("compressedText")->toPlainText(),
                 toQString(story) + toQString(other.text));
        std::size_t same = 0;
        while (original.generated[same] == other.generated[same])
            ++same;
        QVERIFY2(m_fixture->find<QLabel>("textDifference")->text().contains(u": %1."_s.arg(same)),
                 qPrintable(m_fixture->find<QLabel>("textDifference")->text()));
        // What is marked begins where the texts part, at the start of a token.
        const auto marked = m_fixture->find<QPlainTextEdit>("originalText")->extraSelections();
        QCOMPARE(marked.size(), 2);
        const auto tokenizer = Model::open(modelPath()).tokenizer();
        std::vector<std::int32_t> ids = original.prompt;
        ids.insert(ids.end(), original.generated.begin(), original.generated.begin() + std::ptrdiff_t(same));
        const QString before = toQString(tokenizer->decode(ids));
        QCOMPARE(before.right(marked[1].cursor.selectionStart()).size(), marked[1].cursor.selectionStart());
        QVERIFY(before.endsWith(
            m_fixture->find<QPlainTextEdit>("originalText")->toPlainText().left(marked[1].cursor.selectionStart())));
        QVERIFY(m_fixture->find<QLabel>("originalTextFigures")->text().contains(u"per second"_s));
        click(m_fixture->find<QToolButton>("copyTexts"));
        QVERIFY(QApplication::clipboard()->text().contains(toQString(other.text)));
        take(u"generated"_s);
    }

    void theLatestRequestWins()
    {
        setTokens(300);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QCOMPARE(panel()->service().activity(), TextService::Activity::Generating);
        setTokens(7);
        type(u"The cat"_s);
        QSignalSpy texts(&panel()->service(), &TextService::generated);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(idle());
        QCOMPARE(texts.size(), 1);
        const auto device = makeCpuDevice(1);
        QCOMPARE(m_fixture->find<QPlainTextEdit>("originalText")->toPlainText(),
                 u"The cat"_s +
                     toQString(generateGreedy(Model::open(modelPath()), *device, "The cat", 7, {}, {}).text));
        QCOMPARE(m_fixture->find<QPlainTextEdit>("compressedText")->toPlainText(),
                 u"The cat"_s + toQString(generateGreedy(compressed(m_first), *device, "The cat", 7, {}, {}).text));
    }

    void itStops()
    {
        setTokens(450);
        QSignalSpy texts(&panel()->service(), &TextService::generated);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        auto* stop = m_fixture->find<QToolButton>("stopText");
        QVERIFY(stop->isEnabled());
        click(stop);
        QCOMPARE(panel()->service().activity(), TextService::Activity::None);
        QVERIFY(!stop->isEnabled());
        // What still comes of the stopped task would come before the next one ends.
        setTokens(1);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(idle());
        QCOMPARE(texts.size(), 1);
        QCOMPARE(texts[0][0].value<GeneratedTexts>().original.generated.size(), std::size_t(1));
    }

    void tooMuchIsToldInWords()
    {
        setTokens(4000);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(idle());
        QVERIFY2(problem().contains(u"exceed the context of 512"_s), qPrintable(problem()));
        QVERIFY(m_fixture->find<QLabel>("textProblem")->isVisible());
        setTokens(20);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(idle());
        QCOMPARE(problem(), QString());
    }

    void tokensAreScored()
    {
        type(toQString(story));
        click(m_fixture->find<QToolButton>("score"));
        QVERIFY(idle());
        QCOMPARE(problem(), QString());
        const std::vector<std::int32_t> ids = idsOf(story);
        const Model original = Model::open(modelPath());
        const Model other = compressed(m_first);
        const TokenComparison expected = compareTokens(original, other, *makeCpuDevice(1), ids, {}, {});
        const QVector<TokenSpan>& spans = panel()->tokens()->data().tokens;
        QCOMPARE(spans.size(), qsizetype(ids.size()));
        QVERIFY(std::isnan(spans[0].value));
        double sum = 0.0;
        for (std::size_t t = 1; t < ids.size(); ++t) {
            QCOMPARE(spans[qsizetype(t)].value, expected.otherLogProbability[t] - expected.originalLogProbability[t]);
            sum += expected.divergence[t];
        }
        sum += expected.divergence[0];
        // By another route of the engine.
        const double before = perplexity(original, ids);
        const double after = perplexity(other, ids);
        const ScoredText& scored = *panel()->scoredText();
        // Log-probabilities are float32, which is 6e-8 of 1 nat; the other route sums float64 ones.
        QVERIFY(std::abs(scored.originalPerplexity - before) <= 1e-7 * before);
        QVERIFY(std::abs(scored.compressedPerplexity - after) <= 1e-7 * after);
        QVERIFY(std::abs(scored.meanDivergence - sum / double(ids.size())) <= 1e-12);
        const QString line = m_fixture->find<QLabel>("scoreFigures")->text();
        for (const QString& number : {QLocale().toString(before, 'f', 4), QLocale().toString(after, 'f', 4),
                                      QLocale().toString(sum / double(ids.size()), 'f', 5)})
            QVERIFY2(line.contains(number), qPrintable(line));
        // The tokens are the text.
        QString text;
        for (qsizetype t = qsizetype(original.tokenizer()->prefix().size()); t < spans.size(); ++t)
            text += spans[t].text;
        QCOMPARE(text.trimmed(), toQString(story));
    }

    void aTokenTellsWhatWasExpected()
    {
        TokenView* view = panel()->tokens();
        auto* details = m_fixture->find<QTextBrowser>("tokenDetails");
        const ScoredText& scored = *panel()->scoredText();
        const int token = static_cast<int>(scored.size()) / 2;
        const auto at = static_cast<std::size_t>(token);
        view->setFocus();
        QTest::keyClick(view, Qt::Key_Home);
        QCOMPARE(view->current(), 0);
        for (int step = 0; step < token; ++step)
            QTest::keyClick(view, Qt::Key_Right);
        QCOMPARE(view->current(), token);
        const TokenComparison expected =
            compareTokens(Model::open(modelPath()), compressed(m_first), *makeCpuDevice(1), idsOf(story), {}, {});
        QString text = details->toPlainText();
        for (const double number :
             {expected.originalLogProbability[at], expected.otherLogProbability[at], expected.divergence[at - 1]})
            QVERIFY2(text.contains(QLocale().toString(number, 'f', 4)), qPrintable(text));
        for (const auto* top : {&expected.originalTop[at - 1], &expected.otherTop[at - 1]})
            for (const TokenChance& chance : *top) {
                QString piece = tokenPiece(*scored.tokenizer, expected.tokens[at - 1], chance.token);
                piece.replace(u' ', QChar(0x2423)).replace(u'\n', QChar(0x21b5));
                QVERIFY2(text.contains(piece), qPrintable(piece + u" in "_s + text));
            }
        // The pointer goes before the cursor and gives way to it again.
        QTest::mouseMove(view->viewport(), view->tokenRect(2).center().toPoint());
        QVERIFY(details->toPlainText().contains(QLocale().toString(expected.originalLogProbability[2], 'f', 4)));
        QTest::mouseMove(view->viewport(), QPoint(view->viewport()->width() - 2, view->viewport()->height() - 2));
        QCOMPARE(details->toPlainText(), text);
        QTest::keyClick(view, Qt::Key_Home);
        QTest::keyClick(view, Qt::Key_Down);
        QVERIFY(view->tokenRect(view->current()).top() > view->tokenRect(0).top());
        QTest::mouseClick(view->viewport(), Qt::LeftButton, Qt::NoModifier, view->tokenRect(3).center().toPoint());
        QCOMPARE(view->current(), 3);
        QVERIFY(view->accessibleDescription().contains(u"token 4 of"_s));
        take(u"scored"_s);
    }

    void theTableReadsBack()
    {
        const QString file = toQString(m_fixture->folder()) + u"/tokens.csv"_s;
        QSignalSpy saved(panel()->tokens()->figureActions(), &FigureActions::saved);
        panel()->tokens()->figureActions()->save(file);
        QTRY_COMPARE(saved.size(), 1);
        QFile csv(file);
        QVERIFY(csv.open(QIODevice::ReadOnly));
        const QList<QStringList> lines = rowsOf(QString::fromUtf8(csv.readAll()));
        const std::vector<std::int32_t> ids = idsOf(story);
        QCOMPARE(lines.size(), qsizetype(ids.size() + 1));
        const TokenComparison expected =
            compareTokens(Model::open(modelPath()), compressed(m_first), *makeCpuDevice(1), ids, {}, {});
        for (std::size_t t = 1; t < ids.size(); ++t) {
            const QStringList& cells = lines[qsizetype(t) + 1];
            QCOMPARE(cells.size(), lines[0].size());
            QCOMPARE(cells[1].toInt(), int(ids[t]));
            QCOMPARE(cells[3].toDouble(), expected.originalLogProbability[t]);
            QCOMPARE(cells[4].toDouble(), expected.otherLogProbability[t]);
            QCOMPARE(cells[6].toDouble(), expected.divergence[t - 1]);
        }
    }

    void coloursAreReadable()
    {
        for (const QPalette& colours : {lightPalette(), darkPalette()}) {
            double lowest = 21.0;
            for (int step = -100; step <= 100; ++step) {
                TokenView one;
                one.setPalette(colours);
                one.setData({.title = {},
                             .valueTitle = {},
                             .lowerTitle = {},
                             .higherTitle = {},
                             .tokens = {{u"a"_s, step / 100.0}, {u"b"_s, 1.0}},
                             .table = {}});
                const QColor under = one.tokenColour(0, colours);
                const QColor over = one.textColour(0, colours);
                lowest = std::min(lowest, contrastRatio(under, over));
            }
            QVERIFY2(lowest >= 4.5, qPrintable(QString::number(lowest)));
        }
        // Orange is less likely, blue more; no change is the background.
        TokenView view;
        view.setData({.title = {},
                      .valueTitle = {},
                      .lowerTitle = {},
                      .higherTitle = {},
                      .tokens = {{u"a"_s, -1.0}, {u"b"_s, 1.0}, {u"c"_s, 0.0}},
                      .table = {}});
        QVERIFY(view.tokenColour(0, lightPalette()).red() > view.tokenColour(0, lightPalette()).blue());
        QVERIFY(view.tokenColour(1, lightPalette()).blue() > view.tokenColour(1, lightPalette()).red());
        QCOMPARE(view.tokenColour(2, darkPalette()), darkPalette().color(QPalette::Base));
    }

    void anotherRunIsChosen()
    {
        m_second = makeRun(0.7);
        session().runs().refresh();
        auto* runs = m_fixture->find<QComboBox>("textRun");
        QTRY_COMPARE(runs->count(), 2);
        runs->setFocus();
        const int step = runs->findData(qlonglong(m_second)) - runs->currentIndex();
        if (step != 0)
            QTest::keyClick(runs, step < 0 ? Qt::Key_Up : Qt::Key_Down);
        QCOMPARE(panel()->run(), m_second);
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier | Qt::ShiftModifier);
        QVERIFY(idle());
        QCOMPARE(panel()->scoredText()->run, m_second);
        const double after = perplexity(compressed(m_second), idsOf(story));
        QVERIFY(std::abs(panel()->scoredText()->compressedPerplexity - after) <= 1e-7 * after);
    }

    void aRunWithoutFilesIsToldOf()
    {
        const RunRecord record = session().runs().store()->run(m_second);
        std::filesystem::rename(record.result.folder, m_fixture->folder() / "away");
        click(m_fixture->find<QToolButton>("score"));
        QVERIFY(idle());
        QVERIFY2(problem().contains(u"not the folder of a finished run"_s), qPrintable(problem()));
        std::filesystem::rename(m_fixture->folder() / "away", record.result.folder);
    }

    void itWritesWhileAJobRuns()
    {
        session().recipeState().change([](Recipe& recipe) {
            recipe.method = "whitened-svd";
            recipe.sequential = SequentialMode::Anchored;
            recipe.calibration = WindowOptions{
                .text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 128, .count = 64};
        });
        QVERIFY(waitUntil([this] { return session().plan().known() == 35; }));
        QCOMPARE(session().startRun(), QString());
        QVERIFY(waitUntil([this] { return session().jobs().running() != nullptr; }));
        setTokens(30);
        watched().reset();
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(idle());
        QCOMPARE(problem(), QString());
        QVERIFY2(watched().longestBusyMilliseconds() <= mostBusyMilliseconds(), qPrintable(watched().longestEvent()));
        session().jobs().cancelAll();
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }));
    }

    void aLongTextIsPaintedAtOnce()
    {
        TokenView view;
        view.resize(1200, 800);
        TokenViewData data{.title = u"long"_s,
                           .valueTitle = {},
                           .lowerTitle = u"less"_s,
                           .higherTitle = u"more"_s,
                           .tokens = {},
                           .table = {}};
        for (int token = 0; token < 2048; ++token)
            data.tokens.append({u" w%1"_s.arg(token % 311), std::sin(token)});
        view.show();
        QVERIFY(QTest::qWaitForWindowExposed(&view));
        double start = threadMilliseconds();
        view.setData(data);
        const double laid = threadMilliseconds() - start;
        const double bound = mostFrameMilliseconds();
        std::vector<double> times;
        for (int repeat = 0; repeat < 15; ++repeat) {
            start = threadMilliseconds();
            view.viewport()->repaint();
            times.push_back(threadMilliseconds() - start);
        }
        std::nth_element(times.begin(), times.begin() + 7, times.end());
        qInfo("2048 tokens: laid out in %.1f ms, painted in %.1f ms (median)", laid, times[7]);
        QVERIFY(times[7] <= std::max(bound, mostFrameMilliseconds()));
    }

    void closingTheModelEmptiesTheView()
    {
        QTest::keyClick(panel()->prompt(), Qt::Key_Return, Qt::ControlModifier);
        session().closeModel();
        QCOMPARE(panel()->service().activity(), TextService::Activity::None);
        QVERIFY(panel()->scoredText() == nullptr);
        QVERIFY(panel()->tokens()->data().tokens.isEmpty());
        QVERIFY(m_fixture->find<QPlainTextEdit>("originalText")->toPlainText().isEmpty());
        QCOMPARE(panel()->run(), std::int64_t(0));
    }

private:
    /// A picture in both appearances where $RANKWRIGHT_SCREENSHOTS names a folder.
    void take(const QString& name)
    {
        const QString folder = qEnvironmentVariable("RANKWRIGHT_SCREENSHOTS");
        if (folder.isEmpty())
            return;
        QVERIFY(QDir().mkpath(folder));
        for (const Appearance appearance : {Appearance::Dark, Appearance::Light}) {
            applyAppearance(*qApp, appearance);
            QTest::qWait(150);
            QVERIFY(m_fixture->window().grab().save(
                u"%1/text-%2-%3.png"_s.arg(folder, name, appearance == Appearance::Dark ? u"dark"_s : u"light"_s)));
        }
    }

    std::unique_ptr<WindowFixture> m_fixture;
    std::int64_t m_first = 0;
    std::int64_t m_second = 0;
};

int main(int argc, char** argv)
{
    WatchedApplication application(argc, argv);
    TestText test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_text.moc"
