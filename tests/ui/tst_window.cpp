#include "core/base/bytes.h"
#include "tests/ui/watched_application.h"
#include "tests/ui/window_fixture.h"
#include "ui/models/job_model.h"
#include "ui/models/linear_tree_model.h"
#include "ui/panels/error_map_panel.h"
#include "ui/panels/model_panel.h"
#include "ui/panels/rank_plan_panel.h"
#include "ui/panels/recipe_panel.h"
#include "ui/panels/spectrum_panel.h"
#include "ui/plots/heat_map.h"
#include "ui/plots/plot_widget.h"
#include "ui/plots/rank_bars.h"
#include "ui/session/text.h"

#include <QClipboard>
#include <QComboBox>
#include <QDockWidget>
#include <QFile>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QMessageBox>
#include <QPushButton>
#include <QSlider>
#include <QSpinBox>
#include <QTabWidget>
#include <QTableView>
#include <QTableWidget>
#include <QTextBrowser>
#include <QToolButton>
#include <QTreeView>

#include <cmath>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

namespace {

QString demoModelPath()
{
    return demoFolder() + u"/stories260K"_s;
}

/// What the engine says of a plan, from shapes and analyses, one linear after the other.
struct Expected
{
    std::size_t kept = 0;
    std::size_t dense = 0;
    std::size_t bytes = 0;
    double loss = 0.0;
};

} // namespace

/// Whole stories in the real window on stories260K, with the mouse and the keyboard. Figures are compared with the
/// engine's, computed here again.
class TestWindow : public QObject
{
    Q_OBJECT

private:
    Session& session() { return m_fixture->session(); }
    MainWindow& window() { return m_fixture->window(); }

    static void click(QWidget* widget, const QPoint& at = {})
    {
        QTest::mouseClick(widget, Qt::LeftButton, Qt::NoModifier, at.isNull() ? widget->rect().center() : at);
    }

    static void type(QLineEdit* edit, const QString& text)
    {
        QVERIFY(edit != nullptr);
        edit->setFocus();
        edit->selectAll();
        QTest::keyClicks(edit, text);
        QTest::keyClick(edit, Qt::Key_Return);
    }

    /// The statistics of the window's calibration, computed anew.
    TapStatistics statistics(const LinearInfo& info)
    {
        return CalibrationSet::open(session().calibration().set()->folder()).load(info.tap);
    }

    Expected expected()
    {
        Expected sum;
        const Model model = Model::open(demoModelPath().toStdString());
        for (const TensorInfo& tensor : model.checkpoint().tensors())
            sum.bytes += tensor.bytes;
        const auto device = makeCpuDevice(1);
        for (const LinearInfo& info : model.linears()) {
            const std::size_t rank = session().plan().rank(static_cast<int>(info.index));
            const std::size_t m = info.shape.rows;
            const std::size_t n = info.shape.columns;
            sum.dense += m * n;
            if (rank * (m + n) >= m * n) {
                sum.kept += m * n;
                continue;
            }
            sum.kept += rank * (m + n);
            sum.bytes = sum.bytes + rank * (m + n) * 4 - m * n * 4;
            const TapStatistics of = statistics(info);
            const LinearProblem problem{
                .name = info.name, .W = convertMatrix<double>(model.readDense(info)), .statistics = &of};
            const auto analysis = findMethod("whitened-svd").analyze(*device, problem, {});
            sum.loss += analysis->loss(rank) / analysis->totalEnergy() / static_cast<double>(model.linears().size());
        }
        return sum;
    }

    void compareTotals()
    {
        const Expected now = expected();
        const PlanTotals& totals = session().plan().totals();
        QCOMPARE(totals.keptParameters, now.kept);
        QCOMPARE(totals.denseParameters, now.dense);
        QCOMPARE(totals.bytes, now.bytes);
        QVERIFY2(std::abs(totals.relativeLoss - now.loss) <= 1e-9 * now.loss,
                 qPrintable(u"%1 against %2"_s.arg(totals.relativeLoss, 0, 'g', 17).arg(now.loss, 0, 'g', 17)));
        // What is written in the window is that number too.
        QVERIFY(m_fixture->find<QLabel>("keptParameters")->text().contains(QLocale().toString(qulonglong(now.kept))));
        QCOMPARE(m_fixture->find<QLabel>("bytesOnDisk")->text(), toQString(formatBytes(now.bytes)));
        QCOMPARE(m_fixture->find<QLabel>("predictedLoss")->text(), u"loss "_s + QLocale().toString(now.loss, 'g', 4));
    }

    std::int64_t waitForRun(RunState state)
    {
        if (!waitUntil([this] { return session().jobs().idle(); }, 120))
            return 0;
        waitUntil([this] { return !session().runs().runs().empty(); });
        const auto& runs = session().runs().runs();
        return !runs.empty() && waitUntil([&] { return session().runs().runs().front().state == state; })
                   ? session().runs().runs().front().id
                   : 0;
    }

private slots:
    void initTestCase()
    {
        // Names that are typed into lists are one name, however slow the machine types.
        QApplication::setKeyboardInputInterval(5000);
        m_fixture = std::make_unique<WindowFixture>();
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void aModelOpensByDrop()
    {
        m_fixture->openModel(demoModelPath());
        QVERIFY(window().windowTitle().startsWith(u"stories260K"_s));
        QCOMPARE(window().modelPanel()->tree()->model()->rowCount(), 5);
        QVERIFY(m_fixture->find<QLabel>("modelLine")->text().contains(u"35 linears"_s));
    }

    void theTreeShowsItsColumnsUpToThePredictedLoss()
    {
        auto* tree = m_fixture->find<QTreeView>("linearTree");
        const auto end = [tree] {
            return tree->header()->sectionViewportPosition(LinearTreeModel::Predicted) +
                   tree->header()->sectionSize(LinearTreeModel::Predicted);
        };
        QTRY_VERIFY2(end() <= tree->viewport()->width(),
                     qPrintable(u"%1 of %2, dock %3, centre %4 (at least %5)"_s.arg(tree->viewport()->width())
                                    .arg(end())
                                    .arg(m_fixture->find<QDockWidget>("modelDock")->width())
                                    .arg(window().centralWidget()->width())
                                    .arg(window().centralWidget()->minimumSizeHint().width())));
    }

    void filterAndSelect()
    {
        QTreeView* tree = window().modelPanel()->tree();
        window().modelPanel()->filter()->setFocus();
        QTest::keyClicks(window().modelPanel()->filter(), u"down"_s);
        int shown = 0;
        for (int block = 0; block < tree->model()->rowCount(); ++block)
            shown += tree->model()->rowCount(tree->model()->index(block, 0));
        QCOMPARE(shown, 5);
        const QModelIndex down = tree->model()->index(0, 0, tree->model()->index(2, 0));
        tree->scrollTo(down);
        click(tree->viewport(), tree->visualRect(down).center());
        const LinearInfo& expectedLinear = session().document()->model.linear("model.layers.2.mlp.down_proj");
        QCOMPARE(session().selection().current(), static_cast<int>(expectedLinear.index));
        QTRY_VERIFY(
            m_fixture->find<QTextBrowser>("inspector")->toPlainText().contains(u"model.layers.2.mlp.down_proj"_s));
        window().modelPanel()->filter()->clear();
        QCOMPARE(session().selection().current(), static_cast<int>(expectedLinear.index));
    }

    void spectraOfPlainWeightsNeedNoCalibration()
    {
        const int current = session().selection().current();
        QVERIFY(waitUntil([&] { return session().spectra().find({"svd", {}, {}}, current) != nullptr; }));
        const LinearInfo& info = session().document()->model.linears()[static_cast<std::size_t>(current)];
        // The panel follows the selection a moment later.
        QTRY_COMPARE(window().spectrumPanel()->plot()->data().title, toQString(info.name));
        QTRY_COMPARE(window().spectrumPanel()->plot()->data().series.size(), 1);
        const auto analysis =
            findMethod("svd").analyze(*makeCpuDevice(1),
                                      {.name = info.name,
                                       .W = convertMatrix<double>(session().document()->model.readDense(info)),
                                       .statistics = nullptr},
                                      {});
        const QVector<QPointF> points = window().spectrumPanel()->plot()->data().series[0].points;
        QCOMPARE(points.size(), qsizetype(info.shape.fullRank() + 1));
        for (std::size_t rank = 0; rank <= info.shape.fullRank(); ++rank)
            QVERIFY(std::abs(points[qsizetype(rank)].y() - analysis->loss(rank) / analysis->loss(0)) < 1e-9);
    }

    void calibrateFromTheRecipe()
    {
        type(m_fixture->find<QLineEdit>("calibrationFile"), demoFolder() + u"/stories-calibration.txt"_s);
        m_fixture->find<QSpinBox>("calibrationLength")->setValue(64);
        m_fixture->find<QSpinBox>("calibrationCount")->setValue(16);
        auto* method = m_fixture->find<QComboBox>("method");
        method->setFocus();
        QTest::keyClick(method, Qt::Key_Home);
        QTest::keyClicks(method, u"Whitened"_s);
        QCOMPARE(session().recipeState().recipe().method, std::string("whitened-svd"));
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Missing; }));
        QCOMPARE(session().calibration().windows()->ids.size(), std::size_t(16));
        click(m_fixture->find<QPushButton>("calibrate"));
        QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Ready; }));
        QVERIFY(waitUntil([this] { return session().plansWithMethod() && session().plan().known() == 35; }));
        compareTotals();
    }

    void allMethodsOverlaid()
    {
        auto* list = m_fixture->find<QListWidget>("spectrumMethods");
        for (int row = 1; row < list->count(); ++row) {
            const QRect item = list->visualItemRect(list->item(row));
            click(list->viewport(), QPoint(item.left() + 10, item.center().y()));
        }
        QCOMPARE(window().spectrumPanel()->methods().size(), std::ssize(methods()));
        // There are no gradients.
        const auto drawn = std::ranges::count_if(methods(), [](const Method* each) { return !each->needsGradients(); });
        PlotWidget* plot = window().spectrumPanel()->plot();
        QVERIFY(waitUntil([&] { return plot->data().series.size() == drawn; }));
        // What rounding leaves of the last ranks does not take most of the axis.
        double least = std::numeric_limits<double>::infinity();
        for (const PlotSeries& curve : plot->data().series)
            for (const QPointF& point : curve.points)
                if (point.y() > 0.0)
                    least = std::min(least, point.y());
        QVERIFY2(least < 1e-12 && plot->visibleRange().yLower > 1e-9, qPrintable(QString::number(least)));
    }

    void aRankIsDraggedOnThePlot()
    {
        PlotWidget* plot = window().spectrumPanel()->plot();
        const int current = session().selection().current();
        const std::size_t before = session().plan().rank(current);
        const double y = plot->plotArea().center().y();
        const auto pixelOf = [&](double x) {
            return QPoint(qRound(plot->toPixel({x, plot->toValue({0, y}).y()}).x()), qRound(y));
        };
        const std::size_t wanted = before / 2;
        QTest::mousePress(plot, Qt::LeftButton, Qt::NoModifier, pixelOf(static_cast<double>(before)));
        for (std::size_t rank = before; rank-- > wanted;)
            QTest::mouseMove(plot, pixelOf(static_cast<double>(rank)));
        QTest::mouseRelease(plot, Qt::LeftButton, Qt::NoModifier, pixelOf(static_cast<double>(wanted)));
        QCOMPARE(session().plan().rank(current), wanted);
        QVERIFY(session().plan().locked(current));
        compareTotals();
        // One drag is one step.
        QTest::keyClick(&window(), Qt::Key_Z, Qt::ControlModifier);
        QCOMPARE(session().plan().rank(current), before);
        compareTotals();
        QTest::keyClick(&window(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
        QCOMPARE(session().plan().rank(current), wanted);
    }

    void theSliderPlansTheRest()
    {
        auto* slider = m_fixture->find<QSlider>("keptSlider");
        slider->setFocus();
        const QRect place = slider->geometry();
        for (int i = 0; i < 20; ++i) {
            QTest::keyClick(slider, Qt::Key_Left);
            QCOMPARE(slider->geometry(), place);
        }
        QCOMPARE(session().plan().state().keptRatio, 0.78);
        std::vector<AllocationItem> items;
        for (const LinearInfo& info : session().document()->model.linears()) {
            AllocationItem item{.name = info.name, .shape = info.shape, .loss = {}, .weight = 1.0, .rank = {}};
            if (session().plan().locked(static_cast<int>(info.index)))
                item.rank = session().plan().rank(static_cast<int>(info.index));
            items.push_back(item);
        }
        const AllocationPlan plan = allocate("uniform", StructureKind::Factors, 0.78, items);
        for (std::size_t i = 0; i < items.size(); ++i)
            QCOMPARE(session().plan().rank(static_cast<int>(i)), plan.ranks[i].rank);
        QCOMPARE(session().plan().totals().keptParameters, plan.keptParameters);
        compareTotals();
    }

    void aBarIsDragged()
    {
        window().views()->setCurrentIndex(1);
        RankBars* bars = window().rankPlanPanel()->bars();
        QTRY_VERIFY(bars->barRect(4).isValid());
        const int before = bars->bars()[4].rank;
        const QRectF bar = bars->barRect(4);
        const QPoint top(qRound(bar.center().x()), qRound(bar.top()));
        const QPoint target = top + QPoint(0, qRound(bar.height() / 3));
        QTest::mousePress(bars->viewport(), Qt::LeftButton, Qt::NoModifier, top);
        QTest::mouseMove(bars->viewport(), (top + target) / 2);
        QTest::mouseMove(bars->viewport(), target);
        QTest::mouseRelease(bars->viewport(), Qt::LeftButton, Qt::NoModifier, target);
        QVERIFY(session().plan().rank(4) < static_cast<std::size_t>(before));
        QVERIFY(session().plan().state().edited);
        compareTotals();
    }

    void theMapSelectsEverywhere()
    {
        window().views()->setCurrentIndex(2);
        HeatMap* map = window().errorMapPanel()->map();
        QTRY_VERIFY(map->cellRect(3, 1).isValid());
        click(map->viewport(), map->cellRect(3, 1).center().toPoint());
        const LinearInfo& info = session().document()->model.linear(3, static_cast<Role>(1));
        QCOMPARE(session().selection().current(), static_cast<int>(info.index));
        QCOMPARE(map->data().values[3 * 7 + 1], session().plan().relativeLoss(static_cast<int>(info.index)));
    }

    void aRunDoesWhatWasPlanned()
    {
        const PlanTotals totals = session().plan().totals();
        watched().reset();
        click(m_fixture->find<QPushButton>("run"));
        QCOMPARE(m_fixture->find<QLabel>("recipeProblem")->text(), QString());
        const std::int64_t id = waitForRun(RunState::Finished);
        QVERIFY(id > 0);
        const RunRecord record = session().runs().store()->run(id);
        for (const LinearOutcome& outcome : record.result.linears)
            QCOMPARE(outcome.rank,
                     session().plan().rank(static_cast<int>(session().document()->model.linear(outcome.name).index)));
        QCOMPARE(record.result.bytes, totals.bytes);
        QCOMPARE(record.result.keptRatio, totals.keptRatio);
        QCOMPARE(record.result.wholeModelRatio, totals.wholeModelRatio);
        QVERIFY(std::abs(meanPredictedLoss(record.result.linears) - totals.relativeLoss) <= 1e-9 * totals.relativeLoss);
        QTRY_COMPARE(session().measuredRun(), id);
        for (const LinearOutcome& outcome : record.result.linears) {
            const auto index = static_cast<int>(session().document()->model.linear(outcome.name).index);
            QTRY_VERIFY(session().measured(index) != nullptr);
            QCOMPARE(session().measured(index)->measuredLoss, outcome.measuredLoss);
        }
        qInfo("longest busy at once during a run: %.1f ms of processor time (%s), %.1f ms by the clock",
              watched().longestBusyMilliseconds(), qPrintable(watched().longestEvent()),
              watched().longestWallMilliseconds());
        QVERIFY2(watched().longestBusyMilliseconds() <= mostBusyMilliseconds(), qPrintable(watched().longestEvent()));
    }

    void theCommandRunsTheSame()
    {
        click(m_fixture->find<QPushButton>("copyCommand"));
        const QString command = QApplication::clipboard()->text();
        QVERIFY(command.startsWith(u"rankwright-cli compress "_s));
        QVERIFY(command.contains(u"--method whitened-svd"_s));
        QVERIFY(command.contains(u"--rank "_s));
    }

    void aRunIsCancelled()
    {
        session().recipeState().change([](Recipe& recipe) {
            recipe.evaluations = {
                {{},
                 {.text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-heldout.txt", .length = 64, .count = 0}}};
            recipe.sequential = SequentialMode::Anchored;
        });
        click(m_fixture->find<QPushButton>("run"));
        QVERIFY(waitUntil([this] { return session().jobs().running() != nullptr; }));
        click(m_fixture->find<QToolButton>("cancelJob"));
        QVERIFY(waitForRun(RunState::Cancelled) > 0);
        session().recipeState().change([](Recipe& recipe) {
            recipe.evaluations.clear();
            recipe.sequential = SequentialMode::Dense;
        });
    }

    void whatWasKilledIsResumed()
    {
        Recipe recipe = session().recipe();
        recipe.sequential = SequentialMode::Anchored;
        recipe.calibration->count = 64;
        recipe.threads = 1;
        const std::unique_ptr<OtherProgram> other = m_fixture->startElsewhere(recipe);
        QVERIFY(other != nullptr);
        const auto begun = [this] {
            for (const RunSummary& run : session().runs().store()->runs())
                if (run.state == RunState::Running && !run.fingerprint.empty())
                    return true;
            return false;
        };
        QVERIFY(waitUntil(begun));
        other->kill();
        session().runs().refresh();
        auto* resume = m_fixture->find<QToolButton>("resumeRun");
        QVERIFY(waitUntil([resume] { return resume->isVisible(); }));
        click(resume);
        QVERIFY(waitUntil([this] { return session().jobs().running() != nullptr; }));
        QVERIFY(waitForRun(RunState::Finished) > 0);
    }

    void anExportOpensAgain()
    {
        const auto& runs = session().runs().runs();
        const std::filesystem::path out = m_fixture->folder() / "exported";
        session().jobs().addExport(runs.front().id, {.folder = out}, u"export"_s);
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }, 120));
        const Job& job = session().jobs().jobs().back();
        QVERIFY2(job.state == JobState::Finished, qPrintable(job.failure.message));
        m_fixture->openModel(toQString(out));
        QTRY_COMPARE(session().document()->path, toQString(out));
        QVERIFY(std::ranges::any_of(session().document()->model.linears(),
                                    [](const LinearInfo& info) { return info.structure != StructureKind::Dense; }));
        m_fixture->openModel(demoModelPath());
        QTRY_COMPARE(session().document()->name, u"stories260K"_s);
    }

    void plansAndRecipeComeBack()
    {
        session().plan().keepAs(u"mine"_s);
        const std::vector<std::size_t> ranks = session().plan().state().ranks;
        m_fixture->restart();
        window().restoreSession();
        QVERIFY(waitUntil([this] { return session().document() != nullptr; }));
        QCOMPARE(session().plan().state().ranks, ranks);
        QVERIFY(session().plan().named().contains(u"mine"_s));
        QCOMPARE(session().recipeState().recipe().method, std::string("whitened-svd"));
    }

    void badFilesAreToldOf_data()
    {
        QTest::addColumn<QByteArray>("content");
        QTest::addColumn<QString>("name");
        QTest::addRow("garbage") << QByteArray("not a model") << u"garbage.safetensors"_s;
        QTest::addRow("empty gguf") << QByteArray() << u"empty.gguf"_s;
        QTest::addRow("huge header") << QByteArray("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10) << u"huge.safetensors"_s;
        QTest::addRow("recipe that is none") << QByteArray("{\"modle\": 1}") << u"recipe.json"_s;
    }

    void badFilesAreToldOf()
    {
        QFETCH(QByteArray, content);
        QFETCH(QString, name);
        const QString path = toQString(m_fixture->folder()) + u'/' + name;
        QFile file(path);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(content);
        file.close();
        m_fixture->drop(path);
        QMessageBox* box = nullptr;
        QVERIFY(waitUntil([&] { return (box = m_fixture->find<QMessageBox>("problem")) != nullptr; }));
        QVERIFY2(box->text().contains(name), qPrintable(box->text()));
        QTest::keyClick(box, Qt::Key_Escape);
        QVERIFY(waitUntil([&] { return m_fixture->find<QMessageBox>("problem") == nullptr; }));
        QVERIFY(session().document() != nullptr);
    }

    void aModelThatIsRemovedIsToldOf()
    {
        const std::filesystem::path copy = m_fixture->folder() / "copy";
        std::filesystem::copy(demoModelPath().toStdString(), copy, std::filesystem::copy_options::recursive);
        m_fixture->openModel(toQString(copy));
        QTRY_COMPARE(session().document()->path, toQString(copy));
        std::filesystem::remove_all(copy);
        session().recipeState().change([](Recipe& recipe) {
            recipe.method = "svd";
            recipe.calibration.reset();
        });
        QCOMPARE(session().startRun(), QString());
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }));
        QCOMPARE(session().jobs().jobs().back().state, JobState::Failed);
        QMessageBox* box = nullptr;
        QVERIFY(waitUntil([&] { return (box = m_fixture->find<QMessageBox>("problem")) != nullptr; }));
        QVERIFY2(box->text().contains(toQString(copy)), qPrintable(box->text()));
        QTest::keyClick(box, Qt::Key_Escape);

        // A cell has no room for all of it; below the table there is, of the job that is clicked.
        window().findChild<QDockWidget*>(u"jobsDock"_s)->raise();
        auto* table = m_fixture->find<QTableView>("jobTable");
        auto* details = m_fixture->find<QLabel>("jobDetails");
        QVERIFY(!details->isVisible());
        const QModelIndex failed = table->model()->index(table->model()->rowCount() - 1, JobModel::Step);
        table->scrollTo(failed);
        QTest::mouseClick(table->viewport(), Qt::LeftButton, {}, table->visualRect(failed).center());
        QTRY_VERIFY(details->isVisible());
        const Job& job = session().jobs().jobs().back();
        QCOMPARE(details->text(), job.title + u": "_s + job.failure.message);
        QVERIFY(details->text().contains(toQString(copy)));
    }

    /// Long ones on more lines.
    void shortcutsAreShownWhole()
    {
        for (QAction* action : window().findChildren<QAction*>())
            if (action->shortcut() == QKeySequence(Qt::Key_F1))
                action->trigger();
        auto* dialog = window().findChild<QDialog*>(u"shortcuts"_s);
        QVERIFY(dialog != nullptr);
        auto* table = dialog->findChild<QTableWidget*>();
        int longer = 0;
        for (int row = 0; row < table->rowCount(); ++row) {
            const QRect column(0, 0, table->columnWidth(1) - 8, 1000);
            const QString text = table->item(row, 1)->text();
            const int needed = table->fontMetrics().boundingRect(column, Qt::TextWordWrap, text).height();
            QVERIFY2(table->rowHeight(row) >= needed, qPrintable(text));
            longer += needed > table->fontMetrics().height() + 2 ? 1 : 0;
        }
        QVERIFY(longer > 0);
        dialog->close();
    }

    /// Below more jobs than the table has room for.
    void theJobThatRunsIsInSight()
    {
        m_fixture->openModel(demoModelPath());
        window().findChild<QDockWidget*>(u"jobsDock"_s)->raise();
        auto* table = m_fixture->find<QTableView>("jobTable");
        int begun = 0;
        int inSight = 0;
        const QObject here;
        connect(&session().jobs(), &JobQueue::started, &here, [&] {
            ++begun;
            const QModelIndex last = table->model()->index(table->model()->rowCount() - 1, JobModel::Step);
            inSight += table->viewport()->rect().contains(table->visualRect(last)) ? 1 : 0;
        });
        constexpr int more = 12;
        for (int i = 0; i < more; ++i) {
            session().recipeState().change([&](Recipe& recipe) {
                recipe.method = "svd";
                recipe.calibration.reset();
                recipe.keptRatio = 0.3 + 0.05 * i;
            });
            QCOMPARE(session().startRun(), QString());
            QVERIFY(waitUntil([this] { return session().jobs().idle(); }));
        }
        QCOMPARE(begun, more);
        QCOMPARE(inSight, more);
        QVERIFY(table->rowAt(0) > 0); // so some had to be scrolled to
    }

    void closingWithARunningJobAsks()
    {
        m_fixture->openModel(demoModelPath());
        session().recipeState().change([](Recipe& recipe) {
            recipe.method = "whitened-svd";
            recipe.sequential = SequentialMode::Anchored;
            recipe.calibration = WindowOptions{
                .text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 128, .count = 64};
        });
        QCOMPARE(session().startRun(), QString());
        QVERIFY(waitUntil([this] { return session().jobs().running() != nullptr; }));
        window().close();
        QVERIFY(window().isVisible());
        auto* box = m_fixture->find<QMessageBox>("closeQuestion");
        QVERIFY(box != nullptr);
        for (QAbstractButton* button : box->buttons())
            if (box->buttonRole(button) == QMessageBox::AcceptRole)
                click(button);
        QVERIFY(waitUntil([this] { return !window().isVisible(); }));
        QVERIFY(session().jobs().idle());
    }

private:
    static WatchedApplication& watched() { return *static_cast<WatchedApplication*>(qApp); }

    std::unique_ptr<WindowFixture> m_fixture;
};

int main(int argc, char** argv)
{
    WatchedApplication application(argc, argv);
    TestWindow test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_window.moc"
