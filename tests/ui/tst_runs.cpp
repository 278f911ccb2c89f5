#include "tests/ui/run_support.h"
#include "tests/ui/watched_application.h"
#include "tests/ui/window_fixture.h"
#include "ui/models/run_table_model.h"
#include "ui/panels/runs_panel.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"
#include "ui/theme/theme.h"

#include <QAction>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QMessageBox>
#include <QPushButton>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTabWidget>
#include <QTableView>
#include <QTemporaryDir>
#include <QTest>
#include <QWheelEvent>

#include <algorithm>
#include <memory>

using namespace rankwright;
using namespace rankwright::ui;
using namespace Qt::StringLiterals;

class TestRuns : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    std::unique_ptr<WindowFixture> m_fixture;
    std::unique_ptr<Store> m_store; ///< a second door to the same file
    MainWindow* m_window = nullptr;

    RunsPanel* panel() const { return m_window->runsPanel(); }
    QTableView* table() const { return panel()->table(); }
    RunTableModel* model() const { return panel()->model(); }
    template <typename Widget>
    Widget* find(const QString& name) const
    {
        auto* widget = panel()->findChild<Widget*>(name);
        if (widget == nullptr)
            qFatal("no %s", qPrintable(name));
        return widget;
    }
    bool settled() const
    {
        return QTest::qWaitFor([this] { return !model()->busy(); }, 60000);
    }
    void type(QLineEdit* line, const QString& text) const
    {
        line->setFocus();
        line->selectAll();
        if (text.isEmpty())
            QTest::keyClick(line, Qt::Key_Delete);
        for (const QChar letter : text)
            QTest::keyClick(line, letter.toLatin1());
    }
    void clickRow(int row, Qt::KeyboardModifiers modifiers = {}) const
    {
        const QModelIndex index = model()->index(row, static_cast<int>(RunColumn::State));
        table()->scrollTo(index);
        QTest::mouseClick(table()->viewport(), Qt::LeftButton, modifiers, table()->visualRect(index).center());
    }
    void clearFilter() const
    {
        type(find<QLineEdit>(u"runFilter"_s), {});
        QVERIFY(settled());
        QTRY_COMPARE(model()->rowCount(), static_cast<int>(m_window->session().runs().runs().size()));
    }
    static WatchedApplication& watch() { return *static_cast<WatchedApplication*>(qApp); }

private slots:
    void initTestCase()
    {
        const QString demo = demoFolder() + u"/stories260K"_s;
        m_fixture = std::make_unique<WindowFixture>();
        m_window = &m_fixture->window();
        m_store = std::make_unique<Store>(m_fixture->places().store);
        fillStore(*m_store, manyRuns, demo.toStdString());
        m_fixture->openModel(demo);
        m_window->session().runs().refresh();
        QTRY_COMPARE_WITH_TIMEOUT(model()->rowCount(), manyRuns, 20000);
    }

    /// First, while nothing of the view was ever drawn.
    void tenThousandRunsOpenFilterAndScrollWithoutAStall()
    {
        m_store->setNotes(17, "changed by another process");
        watch().reset();
        m_window->views()->setCurrentWidget(panel());
        QSignalSpy arranged(model(), &RunTableModel::arranged);
        m_window->session().runs().refresh();
        QTRY_VERIFY_WITH_TIMEOUT(!arranged.isEmpty(), 30000);
        QTRY_VERIFY(!panel()->plot()->data().series.isEmpty());
        QTest::qWait(50);
        const double opening = watch().longestBusyMilliseconds();
        qInfo("opening: longest %.1f ms, %s", opening, qPrintable(watch().longestEvent()));

        watch().reset();
        type(find<QLineEdit>(u"runFilter"_s), u"whitened paper"_s);
        QVERIFY(settled());
        QTRY_VERIFY(model()->rowCount() < manyRuns);
        QTest::qWait(50);
        clearFilter();
        QTest::qWait(50);
        const double filtering = watch().longestBusyMilliseconds();
        qInfo("filtering: longest %.1f ms, %s", filtering, qPrintable(watch().longestEvent()));

        watch().reset();
        for (int i = 0; i < 200; ++i) {
            QWheelEvent wheel({80, 80}, table()->viewport()->mapToGlobal(QPointF(80, 80)), {}, {0, -120}, {}, {},
                              Qt::NoScrollPhase, false);
            QCoreApplication::sendEvent(table()->viewport(), &wheel);
            QCoreApplication::processEvents();
        }
        table()->setFocus();
        QTest::keyClick(table(), Qt::Key_End, Qt::ControlModifier);
        QTest::qWait(20);
        QVERIFY(table()->verticalScrollBar()->value() == table()->verticalScrollBar()->maximum());
        const double scrolling = watch().longestBusyMilliseconds();
        qInfo("scrolling: longest %.1f ms, %s", scrolling, qPrintable(watch().longestEvent()));

        watch().reset();
        QTest::keyClick(table(), Qt::Key_A, Qt::ControlModifier);
        QTRY_COMPARE(panel()->selectedRuns().size(), std::size_t{manyRuns});
        QTest::qWait(50);
        QTest::keyClick(table(), Qt::Key_Home, Qt::ControlModifier);
        const QHeaderView* header = table()->horizontalHeader();
        const int kept = static_cast<int>(RunColumn::KeptRatio);
        QTest::mouseClick(header->viewport(), Qt::LeftButton, {},
                          {header->sectionViewportPosition(kept) + 20, header->height() / 2});
        QVERIFY(settled());
        QTest::qWait(50);
        const double sorting = watch().longestBusyMilliseconds();
        qInfo("selecting all and sorting: longest %.1f ms, %s", sorting, qPrintable(watch().longestEvent()));
        QCOMPARE(model()->query().column, RunColumn::KeptRatio);

        // Of the thread's own processor time: a thread that waits for a processor of a busy machine is no stall of the
        // program's.
        for (const double longest : {opening, filtering, scrolling, sorting})
            QVERIFY2(longest < mostBusyMilliseconds(), qPrintable(u"busy for %1 ms"_s.arg(longest)));
        model()->sort(static_cast<int>(RunColumn::Id), Qt::DescendingOrder);
        QVERIFY(settled());
    }

    void tableHasTheRunsOfTheStore()
    {
        const std::vector<RunSummary> runs = m_store->runs();
        QCOMPARE(model()->rowCount(), static_cast<int>(runs.size()));
        for (std::size_t i = 0; i < runs.size(); i += 37) {
            const auto at = [&](RunColumn column) {
                return model()->index(static_cast<int>(i), static_cast<int>(column)).data().toString();
            };
            QCOMPARE(at(RunColumn::Id).toLongLong(), runs[i].id);
            QCOMPARE(at(RunColumn::Method), toQString(runs[i].method));
            if (!runs[i].perplexities.empty())
                QCOMPARE(at(RunColumn::Compressed),
                         QLocale().toString(runs[i].perplexities.front().compressed, 'g', 6));
        }
    }

    void selectionFollowsRunsThroughSortingAndFiltering()
    {
        clickRow(3);
        clickRow(8, Qt::ControlModifier);
        const std::vector<std::int64_t> chosen = panel()->selectedRuns();
        QCOMPARE(chosen, (std::vector<std::int64_t>{manyRuns - 3, manyRuns - 8}));
        model()->sort(static_cast<int>(RunColumn::Id), Qt::AscendingOrder);
        QVERIFY(settled());
        QTRY_COMPARE(panel()->selectedRuns().size(), std::size_t{2});
        QCOMPARE(panel()->selectedRuns(), (std::vector<std::int64_t>{manyRuns - 8, manyRuns - 3}));
        QStringList rows;
        for (const QModelIndex& index : table()->selectionModel()->selectedRows())
            rows.append(index.data().toString());
        std::ranges::sort(rows);
        QCOMPARE(rows, (QStringList{QString::number(manyRuns - 8), QString::number(manyRuns - 3)}));
        model()->sort(static_cast<int>(RunColumn::Id), Qt::DescendingOrder);
        QVERIFY(settled());
    }

    void columnsThatDoNotDifferAreHidden()
    {
        const auto hidden = [this](RunColumn column) { return table()->isColumnHidden(static_cast<int>(column)); };
        type(find<QLineEdit>(u"runFilter"_s), u"whitened paper"_s);
        QVERIFY(settled());
        QTRY_VERIFY(model()->rowCount() < 1000);
        QTest::mouseClick(find<QCheckBox>(u"onlyDiffering"_s), Qt::LeftButton, {}, {8, 10});
        QVERIFY(find<QCheckBox>(u"onlyDiffering"_s)->isChecked());
        QVERIFY(hidden(RunColumn::Model));
        QVERIFY(hidden(RunColumn::Structure));
        QVERIFY(hidden(RunColumn::Tags));
        QVERIFY(!hidden(RunColumn::Id));
        QVERIFY(!hidden(RunColumn::KeptRatio));
        QVERIFY(hidden(RunColumn::Original));
        QTest::mouseClick(find<QCheckBox>(u"onlyDiffering"_s), Qt::LeftButton, {}, {8, 10});
        QVERIFY(!hidden(RunColumn::Model));
        for (QAction* action : table()->horizontalHeader()->actions())
            if (action->text() == runColumnTitle(RunColumn::Original))
                action->trigger();
        QVERIFY(!hidden(RunColumn::Original));
        clearFilter();
    }

    void tagsAreWrittenInPlace()
    {
        const QModelIndex index = model()->index(4, static_cast<int>(RunColumn::Tags));
        const std::int64_t run = model()->view()->run(4).id;
        table()->scrollTo(index);
        table()->setCurrentIndex(index);
        QTest::keyClick(table(), Qt::Key_F2);
        auto* editor = table()->viewport()->findChild<QLineEdit*>();
        QVERIFY(editor != nullptr);
        type(editor, u"written here"_s);
        QTest::keyClick(editor, Qt::Key_Return);
        QTRY_COMPARE(m_store->run(run).summary.tags, std::string("written here"));
        QTRY_COMPARE(model()->index(4, static_cast<int>(RunColumn::Tags)).data().toString(), u"written here"_s);
    }

    void pointsLeadToTheirRun()
    {
        PlotWidget* plot = panel()->plot();
        type(find<QLineEdit>(u"runFilter"_s), u"whitened paper"_s);
        QVERIFY(settled());
        panel()->selectRuns({});
        QTRY_COMPARE(plot->data().series.size(), 2);
        const PlotSeries& series = plot->data().series.first();
        const int point = static_cast<int>(series.points.size()) / 2;
        const std::int64_t run = panel()->runAt(0, point);
        const QPoint pixel = plot->toPixel(series.points[point]).toPoint();
        QMouseEvent move(QEvent::MouseMove, pixel, plot->mapToGlobal(pixel), Qt::NoButton, Qt::NoButton, {});
        QCoreApplication::sendEvent(plot, &move);
        QTRY_VERIFY(find<QLabel>(u"hoveredRun"_s)->text().contains(u"perplexity"_s));
        QTest::mouseClick(plot, Qt::LeftButton, {}, pixel);
        QCOMPARE(panel()->selectedRuns().size(), std::size_t{1});
        const RunSummary clicked = m_store->run(panel()->selectedRuns().front()).summary;
        const QPointF there = plot->toPixel({clicked.keptRatio, clicked.perplexities.front().compressed});
        QVERIFY((there - QPointF(pixel)).manhattanLength() <= 12.0);
        QVERIFY(run == clicked.id || (there - QPointF(pixel)).manhattanLength() <= 3.0);
        QTRY_COMPARE(plot->data().series.last().points.size(), 1);
        QCOMPARE(plot->data().series.last().points.first().x(), clicked.keptRatio);
        find<QComboBox>(u"runCost"_s)->setCurrentIndex(2);
        QTRY_VERIFY(plot->data().x.title.contains(u"MiB"_s));
        QCOMPARE(plot->data().series.last().points.first().x(), static_cast<double>(clicked.bytes) / 1048576.0);
        find<QComboBox>(u"runCost"_s)->setCurrentIndex(0);
        clearFilter();
    }

    void forecastsLeadToTheirRun()
    {
        PlotWidget* plot = panel()->plot();
        auto* against = find<QComboBox>(u"runCost"_s);
        type(find<QLineEdit>(u"runFilter"_s), u"whitened finished"_s);
        QVERIFY(settled());
        panel()->selectRuns({});
        against->setFocus();
        QTest::keyClick(against, Qt::Key_End);
        QTRY_VERIFY(plot->data().x.title.startsWith(u"forecast"_s));
        QTRY_COMPARE(plot->data().series.size(), 2);
        QVERIFY(find<QLabel>(u"hoveredRun"_s)->text().startsWith(u"Forecasts: "_s));
        const PlotSeries& series = plot->data().series.first();
        const QPoint pixel = plot->toPixel(series.points[series.points.size() / 2]).toPoint();
        QMouseEvent move(QEvent::MouseMove, pixel, plot->mapToGlobal(pixel), Qt::NoButton, Qt::NoButton, {});
        QCoreApplication::sendEvent(plot, &move);
        QTRY_VERIFY(find<QLabel>(u"hoveredRun"_s)->text().contains(u", forecast "_s));
        QTest::mouseClick(plot, Qt::LeftButton, {}, pixel);
        QCOMPARE(panel()->selectedRuns().size(), std::size_t{1});
        const RunPerplexity clicked = m_store->run(panel()->selectedRuns().front()).summary.perplexities.front();
        const QPointF there = plot->toPixel({clicked.forecast->perplexity, clicked.compressed});
        QVERIFY((there - QPointF(pixel)).manhattanLength() <= 12.0);
        QVERIFY(!table()->isColumnHidden(static_cast<int>(RunColumn::Forecast)));
        against->setCurrentIndex(0);
        clearFilter();
    }

    void tableIsCopied()
    {
        clickRow(0);
        clickRow(1, Qt::ControlModifier);
        table()->setFocus();
        QSignalSpy told(panel(), &RunsPanel::message);
        QTest::keyClick(table(), Qt::Key_C, Qt::ControlModifier);
        QTRY_COMPARE(told.size(), 1);
        const QStringList lines = QApplication::clipboard()->text().split(u'\n');
        QCOMPARE(lines.size(), 4);
        QCOMPARE(lines[0].section(u',', 0, 1), u"Run,State"_s);
        QCOMPARE(lines[1].section(u',', 0, 0), QString::number(manyRuns));
        QCOMPARE(lines[2].section(u',', 0, 0), QString::number(manyRuns - 1));
        const QString path = m_folder.filePath(u"runs.md"_s);
        panel()->saveTable(path);
        QTRY_COMPARE(told.size(), 2);
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.readAll().count('\n'), 4);
    }

    void takingARecipe()
    {
        type(find<QLineEdit>(u"runFilter"_s), u"asvd finished"_s);
        QVERIFY(settled());
        clickRow(0);
        const RunSummary run = model()->view()->run(0);
        find<QAction>(u"takeRecipe"_s)->trigger();
        QTRY_COMPARE(m_window->session().recipe().method, run.method);
        QTRY_COMPARE(m_window->session().recipe().keptRatio, run.targetKeptRatio);
        clearFilter();
    }

    void onlyStoppedRunsResume()
    {
        for (const auto& [word, resumes] :
             {std::pair(u"cancelled"_s, true), std::pair(u"failed"_s, true), std::pair(u"finished"_s, false)}) {
            type(find<QLineEdit>(u"runFilter"_s), word);
            QVERIFY(settled());
            clickRow(0);
            QCOMPARE(find<QAction>(u"resumeSelected"_s)->isEnabled(), resumes);
            QCOMPARE(find<QAction>(u"exportRun"_s)->isEnabled(), !resumes);
        }
        clearFilter();
    }

    void deletingAsksFirst()
    {
        clickRow(0);
        clickRow(1, Qt::ShiftModifier);
        const auto before = m_store->runs().size();
        for (const bool really : {false, true}) {
            m_window->activateWindow();
            QVERIFY(QTest::qWaitForWindowActive(m_window));
            table()->setFocus();
            QTest::keyClick(table(), Qt::Key_Delete);
            auto* question = find<QMessageBox>(u"deleteQuestion"_s);
            QAbstractButton* pressed = question->button(QMessageBox::Cancel);
            for (QAbstractButton* button : question->buttons())
                if (really && question->buttonRole(button) == QMessageBox::DestructiveRole)
                    pressed = button;
            QTest::mouseClick(pressed, Qt::LeftButton);
            QTRY_VERIFY(panel()->findChild<QMessageBox*>(u"deleteQuestion"_s) == nullptr);
            QTRY_COMPARE(m_store->runs().size(), before - (really ? 2 : 0));
        }
        QVERIFY(waitUntil([&] { return model()->rowCount() == static_cast<int>(before) - 2; }));
    }

    void looksRight()
    {
        const QString folder = qEnvironmentVariable("RANKWRIGHT_SCREENSHOTS");
        if (folder.isEmpty())
            QSKIP("pictures are made where RANKWRIGHT_SCREENSHOTS names a folder");
        panel()->selectRuns({model()->view()->run(2).id, model()->view()->run(5).id});
        for (const bool dark : {false, true}) {
            applyAppearance(*qApp, dark ? Appearance::Dark : Appearance::Light);
            QTest::qWait(200);
            const QString scale = QString::number(m_window->devicePixelRatioF());
            m_window->grab().save(u"%1/runs-%2-%3.png"_s.arg(folder, dark ? u"dark"_s : u"light"_s, scale));
        }
    }
};

int main(int argc, char** argv)
{
    WatchedApplication application(argc, argv);
    TestRuns test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_runs.moc"
