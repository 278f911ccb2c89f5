#include "core/export/export.h"
#include "tests/ui/window_fixture.h"
#include "ui/dialogs/export_dialog.h"
#include "ui/dialogs/run_comparison_dialog.h"
#include "ui/models/run_table_model.h"
#include "ui/panels/runs_panel.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"
#include "ui/theme/theme.h"

#include <QAbstractItemModelTester>
#include <QAction>
#include <QComboBox>
#include <QDir>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QRadioButton>
#include <QTabWidget>
#include <QTableView>
#include <QTableWidget>

using namespace rankwright;
using namespace rankwright::ui;
using namespace Qt::StringLiterals;

/// Two real runs of stories260K, compared and exported in the window.
class TestRunDialogs : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    std::unique_ptr<WindowFixture> m_fixture;
    std::vector<std::int64_t> m_ids;

    Session& session() { return m_fixture->session(); }
    RunRecord record(std::size_t run) { return session().runs().store()->run(m_ids[run]); }
    template <typename Dialog>
    Dialog* dialog()
    {
        Dialog* found = nullptr;
        if (!QTest::qWaitFor([&] { return (found = m_fixture->window().findChild<Dialog*>()) != nullptr; }))
            qFatal("no dialog");
        return found;
    }
    static void picture(QWidget* widget, const QString& name)
    {
        const QString folder = qEnvironmentVariable("RANKWRIGHT_SCREENSHOTS");
        if (folder.isEmpty())
            return;
        for (const bool dark : {true, false}) {
            applyAppearance(*qApp, dark ? Appearance::Dark : Appearance::Light);
            QTest::qWait(150);
            const QString scale = QString::number(widget->devicePixelRatioF());
            widget->grab().save(u"%1/%2-%3-%4.png"_s.arg(folder, name, dark ? u"dark"_s : u"light"_s, scale));
        }
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openModel(demoFolder() + u"/stories260K"_s);
        for (const double ratio : {0.5, 0.8}) {
            session().recipeState().change([&](Recipe& recipe) {
                recipe.method = "svd";
                recipe.calibration.reset();
                recipe.name = ratio < 0.6 ? "half" : "";
                recipe.evaluations = {{"held-out",
                                       {.text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-heldout.txt",
                                        .length = 64,
                                        .count = 4}}};
            });
            session().plan().setKeptRatio(ratio);
            QVERIFY(waitUntil([&] { return !session().plan().waiting(); }));
            QCOMPARE(session().startRun(), QString());
            QVERIFY(waitUntil([&] { return session().jobs().idle(); }));
        }
        QVERIFY(waitUntil([&] {
            const RunView& view = *m_fixture->window().runsPanel()->model()->view();
            return view.size() == 2 && view.run(0).state == RunState::Finished &&
                   view.run(1).state == RunState::Finished;
        }));
        for (const RunSummary& run : session().runs().runs())
            m_ids.push_back(run.id);
        m_fixture->window().views()->setCurrentWidget(m_fixture->window().runsPanel());
    }

    void comparisonHasWhatTheStoreHas()
    {
        RunsPanel* panel = m_fixture->window().runsPanel();
        panel->selectRuns(m_ids);
        panel->findChild<QAction*>(u"compareRuns"_s)->trigger();
        auto* compared = dialog<RunComparisonDialog>();
        QTRY_VERIFY(compared->comparison());
        const RunRecord a = record(0);
        const RunRecord b = record(1);

        QStringList recipeRows;
        for (int row = 0; row < compared->overview()->rowCount(); ++row)
            if (const QString title = compared->overview()->verticalHeaderItem(row)->text();
                title.startsWith(u"recipe"_s))
                recipeRows.append(title.section(u' ', 1));
        QVERIFY(recipeRows.contains(u"keptRatio"_s));
        QVERIFY(recipeRows.contains(u"name"_s));
        // Leaves of both recipes, flattened by the library, that are not the same.
        QStringList wanted;
        const Json flatA = a.recipe.flatten();
        const Json flatB = b.recipe.flatten();
        for (const auto& item : flatA.items())
            if (!flatB.contains(item.key()) || flatB.at(item.key()) != item.value())
                wanted.append(toQString(item.key()).mid(1).replace(u'/', u'.'));
        for (const auto& item : flatB.items())
            if (!flatA.contains(item.key()))
                wanted.append(toQString(item.key()).mid(1).replace(u'/', u'.'));
        QCOMPARE(recipeRows, wanted);

        const QAbstractItemModel* linears = compared->linears()->model();
        const QAbstractItemModelTester tester(compared->linears()->model(),
                                              QAbstractItemModelTester::FailureReportingMode::QtTest);
        QCOMPARE(linears->rowCount(), static_cast<int>(a.result.linears.size()));
        QCOMPARE(linears->columnCount(), 1 + 4 + 4 + 1);
        for (int row = 0; row < linears->rowCount(); ++row) {
            const LinearOutcome& first = a.result.linears[static_cast<std::size_t>(row)];
            const LinearOutcome& second = b.result.linears[static_cast<std::size_t>(row)];
            const auto number = [&](int column) {
                return linears->index(row, column).data(RunComparisonModel::SortRole).toDouble();
            };
            QCOMPARE(linears->index(row, 0).data().toString(), toQString(first.name));
            QCOMPARE(number(1), static_cast<double>(first.rank));
            QCOMPARE(number(5), static_cast<double>(second.rank));
            QCOMPARE(number(6),
                     static_cast<double>(second.keptParameters) / static_cast<double>(second.denseParameters));
            QCOMPARE(number(3), first.predictedLoss / first.totalEnergy);
            QCOMPARE(number(8), second.measuredLoss / second.totalEnergy);
            QCOMPARE(number(9), second.measuredLoss / second.totalEnergy - first.measuredLoss / first.totalEnergy);
        }
        compared->linears()->sortByColumn(9, Qt::DescendingOrder);
        for (int row = 1; row < linears->rowCount(); ++row)
            QVERIFY(linears->index(row - 1, 9).data(RunComparisonModel::SortRole).toDouble() >=
                    linears->index(row, 9).data(RunComparisonModel::SortRole).toDouble());

        const PlotData& data = compared->plot()->data();
        QCOMPARE(data.series.size(), 2);
        for (int i = 0; i < data.series[1].points.size(); ++i)
            QCOMPARE(data.series[1].points[i],
                     QPointF(i, static_cast<double>(b.result.linears[static_cast<std::size_t>(i)].rank)));
        auto* role = compared->findChild<QComboBox*>(u"comparisonRole"_s);
        role->setCurrentIndex(role->findText(u"o_proj"_s));
        QCOMPARE(compared->plot()->data().series[0].points.size(), 5);
        for (int tab = 0; tab < 3; ++tab) {
            compared->findChild<QTabWidget*>(u"comparisonTabs"_s)->setCurrentIndex(tab);
            picture(compared, u"compare%1"_s.arg(tab));
        }
        compared->close();
    }

    void exportsReadBack_data()
    {
        QTest::addColumn<bool>("factored");
        QTest::addColumn<int>("type");
        QTest::newRow("factored") << true << 0;
        QTest::newRow("dense") << false << 2;
    }

    void exportsReadBack()
    {
        QFETCH(bool, factored);
        QFETCH(int, type);
        MainWindow& window = m_fixture->window();
        window.activateWindow();
        QVERIFY(QTest::qWaitForWindowActive(&window));
        QTest::keyClick(&window, Qt::Key_E, Qt::ControlModifier);
        auto* exported = dialog<ExportDialog>();
        auto* start = exported->findChild<QPushButton*>(u"startExport"_s);
        auto* result = exported->findChild<QLabel*>(u"exportResult"_s);
        QTRY_VERIFY(start->isEnabled());
        QCOMPARE(exported->windowTitle(), u"Export run %1"_s.arg(m_ids.front()));
        const QString folder = m_folder.filePath(factored ? u"factored"_s : u"dense"_s);
        exported->findChild<QLineEdit*>(u"exportFolder"_s)->setText(m_folder.path());
        if (factored) {
            QVERIFY(QFile(m_folder.filePath(u"occupied"_s)).open(QIODevice::WriteOnly));
            QTest::mouseClick(start, Qt::LeftButton);
            QVERIFY(result->text().contains(u"not empty"_s));
            QCOMPARE(exported->job(), 0);
        }
        exported->findChild<QLineEdit*>(u"exportFolder"_s)->setText(folder);
        exported->findChild<QRadioButton*>(factored ? u"factored"_s : u"dense"_s)->click();
        exported->findChild<QComboBox*>(u"exportType"_s)->setCurrentIndex(type);
        QTest::mouseClick(start, Qt::LeftButton);
        QVERIFY(exported->job() != 0);
        QVERIFY(waitUntil([&] { return session().jobs().idle(); }));
        const Job* job = session().jobs().find(exported->job());
        QCOMPARE(job->state, JobState::Finished);
        QVERIFY(job->exported);
        const QStringList files = QDir(folder).entryList(QDir::Files | QDir::Hidden, QDir::Name);
        QVERIFY(!files.isEmpty());
        QCOMPARE(files.contains(u"modeling_rankwright.py"_s), factored);
        qint64 bytes = 0;
        for (const QString& file : files) {
            QVERIFY2(result->text().contains(file), qPrintable(file));
            bytes += QFileInfo(QDir(folder).filePath(file)).size();
        }
        QCOMPARE(job->exported->bytes, static_cast<std::size_t>(bytes));
        const double difference = job->exported->largestLogitDifference;
        QVERIFY(result->text().contains(difference > 0.0 ? QString::number(difference, 'g', 2)
                                                         : u"every logit is the same"_s));
        QVERIFY(result->text().contains(QString::number(exportLogitBound(exported->dtype()), 'g', 2)));
        // The folder opens again, with the ranks of the run where it keeps factors.
        const Model model = Model::open(toPath(folder));
        QCOMPARE(model.linears().size(), record(0).result.linears.size());
        QVERIFY(exported->findChild<QPushButton*>(u"openExport"_s)->isVisible());
        picture(exported, factored ? u"export-factored"_s : u"export-dense"_s);
        exported->close();
        QTRY_VERIFY(window.findChild<ExportDialog*>() == nullptr);
    }
};

QTEST_MAIN(TestRunDialogs)
#include "tst_run_dialogs.moc"
