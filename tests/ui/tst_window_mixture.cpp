#include "core/base/file.h"
#include "core/calibration/mixture.h"
#include "tests/ui/window_fixture.h"
#include "ui/panels/more_texts_editor.h"
#include "ui/panels/recipe_panel.h"
#include "ui/session/text.h"

#include <QClipboard>
#include <QDoubleSpinBox>
#include <QDropEvent>
#include <QLabel>
#include <QMimeData>
#include <QPushButton>
#include <QSpinBox>
#include <QTableWidget>
#include <QToolButton>

#include <array>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// Several calibration texts with weights in the recipe panel on stories260K, from the drop of a file to the statistics
/// of the mixture.
class TestWindowMixture : public QObject
{
    Q_OBJECT

private:
    Session& session() { return m_fixture->session(); }
    const Recipe& recipe() { return session().recipeState().recipe(); }
    QTableWidget* table() { return m_fixture->find<QTableWidget>("moreTexts"); }
    QDoubleSpinBox* weight(int row) { return qobject_cast<QDoubleSpinBox*>(table()->cellWidget(row, 1)); }
    std::filesystem::path heldOut() const { return std::filesystem::path(RANKWRIGHT_DEMO) / "stories-heldout.txt"; }
    std::filesystem::path other() const { return m_fixture->folder() / "other=text.txt"; }

    void drop(const std::filesystem::path& file)
    {
        auto* editor = m_fixture->window().findChild<MoreTextsEditor*>();
        QMimeData data;
        data.setUrls({QUrl::fromLocalFile(toQString(file))});
        QDragEnterEvent enter(editor->rect().center(), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(editor, &enter);
        QVERIFY(enter.isAccepted());
        QDropEvent drop(editor->rect().center(), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(editor, &drop);
    }

    void typeWeight(int row, const QString& text)
    {
        weight(row)->setFocus();
        weight(row)->selectAll();
        QTest::keyClicks(weight(row), text);
        QTest::keyClick(weight(row), Qt::Key_Return);
    }

    QString fingerprintOfMixture(const std::vector<double>& weights)
    {
        const Model& model = session().document()->model;
        const auto fingerprint = [&model](const WindowOptions& text) {
            return calibrationFingerprint(model, makeWindows(*model.tokenizer(), text, {}));
        };
        std::vector<std::string> parts{fingerprint(*recipe().calibration)};
        parts.reserve(weights.size());
        for (const WeightedText& more : recipe().moreCalibrations)
            parts.push_back(fingerprint(more.windows));
        return toQString(mixtureFingerprint(parts, weights));
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        writeFileAtomically(other(), readFile(heldOut()));
        m_fixture->openDemoToCalibrate();
        QVERIFY(!table()->isVisible());
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void textsAreAddedWithTheWindowsOfTheFirst()
    {
        drop(heldOut());
        drop(other());
        QCOMPARE(recipe().moreCalibrations.size(), std::size_t(2));
        QVERIFY(table()->isVisible());
        QCOMPARE(table()->rowCount(), 2);
        QCOMPARE(table()->item(0, 0)->text(), u"stories-heldout.txt"_s);
        QCOMPARE(weight(0)->value(), 1.0);
        QCOMPARE(recipe().moreCalibrations[1].windows.text, other());
        // The windows follow the first text's.
        m_fixture->find<QSpinBox>("calibrationCount")->setValue(5);
        for (const WeightedText& more : recipe().moreCalibrations) {
            QCOMPARE(more.windows.count, std::size_t(5));
            QCOMPARE(more.windows.length, std::size_t(64));
        }
        QCOMPARE(recipe().moreCalibrations[0].windows.text, heldOut());
    }

    void weightsAreTyped()
    {
        typeWeight(0, u"0.25"_s);
        typeWeight(1, u"3"_s);
        QCOMPARE(recipe().moreCalibrations[0].weight, 0.25);
        QCOMPARE(recipe().moreCalibrations[1].weight, 3.0);
        QCOMPARE(weight(0)->text(), u"0.25"_s);
    }

    void theMixtureIsCalibrated()
    {
        QTRY_VERIFY(m_fixture->find<QLabel>("calibrationState")->text().contains(u"mixed with 2 more"_s));
        QTest::mouseClick(m_fixture->find<QPushButton>("calibrate"), Qt::LeftButton);
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Ready; }));
        QCOMPARE(toQString(session().calibration().set()->fingerprint()), fingerprintOfMixture({1.0, 0.25, 3.0}));
    }

    void theCommandSaysThem()
    {
        QTest::mouseClick(m_fixture->find<QPushButton>("copyCommand"), Qt::LeftButton);
        const QString command = QGuiApplication::clipboard()->text();
        QVERIFY2(command.contains(u"--more-calibration "_s + toQString(heldOut()) + u"=0.25"_s), qPrintable(command));
        QVERIFY2(command.contains(toQString(other()) + u"=3"_s), qPrintable(command));
        // The command line reads them alike, an equals sign in a name included.
        OtherProgram cli(m_fixture->folder() / "elsewhere");
        cli.start(u"sh"_s, {u"-c"_s, command + u" --store "_s + toQString(m_fixture->folder() / "cli.sqlite") +
                                         u" --out "_s + toQString(m_fixture->folder() / "out") + u" --json"_s});
        QVERIFY2(cli.succeeded(), cli.errors().constData());
        const Store store(m_fixture->folder() / "cli.sqlite");
        const Recipe ran = recipeFromJson(store.run(store.runs().front().id).recipe, {});
        QCOMPARE(ran.moreCalibrations.size(), std::size_t(2));
        for (std::size_t i = 0; i < 2; ++i) {
            QCOMPARE(ran.moreCalibrations[i].weight, recipe().moreCalibrations[i].weight);
            QCOMPARE(ran.moreCalibrations[i].windows.text, recipe().moreCalibrations[i].windows.text);
            QCOMPARE(ran.moreCalibrations[i].windows.count, recipe().moreCalibrations[i].windows.count);
        }
    }

    void aRecipeFileKeepsThem()
    {
        session().recipeState().change([](Recipe& changed) { changed.moreCalibrations[1].weight = 1.0 / 3.0; });
        QCOMPARE(weight(1)->text(), QLocale().toString(1.0 / 3.0, 'g', 6));
        const std::filesystem::path file = m_fixture->folder() / "recipe.json";
        writeFileAtomically(file, dumpJson(recipeToJson(session().recipe())));
        table()->selectAll();
        QTest::mouseClick(m_fixture->find<QToolButton>("removeMoreTexts"), Qt::LeftButton);
        QVERIFY(recipe().moreCalibrations.empty());
        QVERIFY(!table()->isVisible());
        m_fixture->window().recipePanel()->loadRecipeFile(toQString(file));
        QCOMPARE(table()->rowCount(), 2);
        QCOMPARE(recipe().moreCalibrations[0].weight, 0.25);
        QCOMPARE(recipe().moreCalibrations[1].weight, 1.0 / 3.0); // not what the field has room for
        QCOMPARE(recipe().moreCalibrations[1].windows.text, other());
        QCOMPARE(recipe().moreCalibrations[1].windows.count, std::size_t(5));
    }

    void oneIsRemoved()
    {
        table()->selectRow(0);
        QTest::mouseClick(m_fixture->find<QToolButton>("removeMoreTexts"), Qt::LeftButton);
        QCOMPARE(recipe().moreCalibrations.size(), std::size_t(1));
        QCOMPARE(recipe().moreCalibrations[0].windows.text, other());
        QCOMPARE(table()->item(0, 0)->text(), u"other=text.txt"_s);
        typeWeight(0, u"2"_s);
        QCOMPARE(recipe().moreCalibrations[0].weight, 2.0);
    }

    void withoutAFirstTextThereIsNothingToMix()
    {
        session().recipeState().change([](Recipe& changed) {
            changed.calibration.reset();
            changed.moreCalibrations.clear();
        });
        QVERIFY(!m_fixture->find<QToolButton>("addMoreTexts")->isEnabled());
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
};

QTEST_MAIN(TestWindowMixture)
#include "tst_window_mixture.moc"
