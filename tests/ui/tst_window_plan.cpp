#include "core/experiment/runner.h"
#include "tests/ui/window_fixture.h"
#include "ui/panels/error_map_panel.h"
#include "ui/panels/model_panel.h"
#include "ui/panels/rank_plan_panel.h"
#include "ui/panels/recipe_panel.h"
#include "ui/plots/heat_map.h"
#include "ui/plots/rank_bars.h"
#include "ui/session/text.h"

#include <QComboBox>
#include <QDir>
#include <QDockWidget>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QMessageBox>
#include <QSpinBox>
#include <QTabWidget>
#include <QToolButton>
#include <QTreeView>
#include <QWheelEvent>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// A plan and its recipe where several things meet: locks, a choice of linears, other models, other programs.
class TestWindowPlan : public QObject
{
    Q_OBJECT

private:
    Session& session() { return m_fixture->session(); }
    MainWindow& window() { return m_fixture->window(); }
    RankPlan& plan() { return session().plan(); }
    QString demoModel() const { return demoFolder() + u"/stories260K"_s; }

    /// Ranks that a run of the recipe as it is takes, by the engine.
    std::map<std::string, std::size_t> ranksOfARun()
    {
        Recipe recipe = session().recipe();
        recipe.calibration.reset();
        recipe.evaluations.clear();
        Store store(m_fixture->folder() / "own.sqlite");
        const RunResult result = runRecipe(recipe, store, {.cache = m_fixture->folder() / "own-cache"}, {});
        std::map<std::string, std::size_t> ranks;
        for (const LinearOutcome& linear : result.linears)
            ranks[linear.name] = linear.rank;
        return ranks;
    }

    void compareWithARun()
    {
        const auto ranks = ranksOfARun();
        for (const LinearInfo& info : session().document()->model.linears()) {
            const int linear = static_cast<int>(info.index);
            const auto run = ranks.find(info.name);
            const std::size_t wanted = run != ranks.end() ? run->second : info.shape.fullRank();
            QVERIFY2(plan().rank(linear) == wanted, info.name.c_str());
        }
    }

    void setOnly(const std::vector<std::string>& only)
    {
        Recipe recipe = session().recipe();
        recipe.only = only;
        recipe.ranks.clear();
        session().setRecipe(recipe);
    }

private slots:
    void init()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openModel(demoModel());
        Recipe recipe = session().recipe();
        recipe.method = "svd";
        session().setRecipe(recipe);
        plan().setKeptRatio(0.6);
    }

    void cleanup() { m_fixture.reset(); }

    /// What is unlocked belongs to the allocator again, at once.
    void unlockedRanksArePlannedAgain()
    {
        const std::vector<std::size_t> uniform = plan().state().ranks;
        plan().setRanks({3}, 5);
        plan().reallocateNow();
        QVERIFY(plan().locked(3) && plan().rank(3) == 5);
        compareWithARun();
        plan().setLocked({3}, false);
        QCOMPARE(plan().state().ranks, uniform);
        compareWithARun();
        plan().undoStack().undo();
        QVERIFY(plan().locked(3) && plan().rank(3) == 5);
    }

    void ranksOfARecipeAreGivenBackToTheAllocator()
    {
        Recipe recipe = session().recipe();
        for (const LinearInfo& info : session().document()->model.linears())
            recipe.ranks[info.name] = 7;
        session().setRecipe(recipe);
        auto* state = m_fixture->find<QLabel>("planState");
        QVERIFY(state->text().contains(u"all ranks are locked"_s));
        compareWithARun();
        QCOMPARE(session().startRun(), QString());
        QVERIFY(waitUntil([&] { return session().jobs().idle(); }));
        QCOMPARE(session().jobs().jobs().back().state, JobState::Finished);
        std::vector<int> all;
        for (int i = 0; i < static_cast<int>(plan().state().ranks.size()); ++i)
            all.push_back(i);
        plan().setKeptRatio(0.8);
        QCOMPARE(plan().rank(0), std::size_t{7});
        plan().setLocked(all, false);
        QVERIFY(plan().problem().isEmpty() && !state->text().contains(u"all ranks are locked"_s));
        QVERIFY(plan().totals().keptRatio > 0.7);
        compareWithARun();
    }

    /// Linears that the plan is not for stand there as they are, in every view, and cannot be dragged.
    void onlyChosenLinearsAreOfThePlan()
    {
        setOnly({"*down_proj"});
        window().views()->setCurrentWidget(window().rankPlanPanel());
        RankBars* bars = window().rankPlanPanel()->bars();
        for (const LinearInfo& info : session().document()->model.linears()) {
            const RankBar& bar = bars->bars()[static_cast<qsizetype>(info.index)];
            QCOMPARE(bar.fixed, info.role != Role::Down);
            QVERIFY(info.role == Role::Down || bar.rank == bar.fullRank);
        }
        QTRY_VERIFY(bars->barRect(0).isValid());
        const QPoint top = bars->barRect(0).center().toPoint();
        QTest::mousePress(bars->viewport(), Qt::LeftButton, Qt::NoModifier, top);
        QTest::mouseMove(bars->viewport(), top + QPoint(0, 20));
        QTest::mouseRelease(bars->viewport(), Qt::LeftButton, Qt::NoModifier, top + QPoint(0, 40));
        QVERIFY(!plan().state().edited);
        plan().setRanks({0}, 3);
        QVERIFY(!plan().state().edited && !plan().locked(0));
        compareWithARun();
        window().views()->setCurrentWidget(window().errorMapPanel());
        window().errorMapPanel()->setQuantity(ErrorMapPanel::Quantity::Rank);
        const LinearInfo& first = session().document()->model.linears().front();
        QCOMPARE(window().errorMapPanel()->map()->data().values[0], static_cast<double>(first.shape.fullRank()));
        setOnly({});
        QVERIFY(!bars->bars()[0].fixed);
        compareWithARun();
    }

    void ranksOfAnotherModelAreToldOf()
    {
        Recipe recipe = session().recipe();
        recipe.model = "/elsewhere/other";
        recipe.ranks = {{"model.layers.99.mlp.up_proj", 4}, {session().document()->model.linears().front().name, 9}};
        session().setRecipe(recipe);
        QMessageBox* box = nullptr;
        QVERIFY(waitUntil([&] { return (box = m_fixture->find<QMessageBox>("problem")) != nullptr; }));
        QVERIFY2(box->text().contains(u"1 of the recipe's 2 ranks"_s) && box->text().contains(u"/elsewhere/other"_s),
                 qPrintable(box->text()));
        QTest::keyClick(box, Qt::Key_Escape);
        QVERIFY(plan().locked(0) && plan().rank(0) == 9);
    }

    void typedTextsAreOfTheFolderTheProgramStartedIn()
    {
        const QString before = QDir::currentPath();
        QDir::setCurrent(demoFolder());
        auto* file = m_fixture->find<QLineEdit>("calibrationFile");
        file->setText(u"stories-calibration.txt"_s);
        emit file->editingFinished();
        QDir::setCurrent(before);
        const auto& calibration = session().recipe().calibration;
        QVERIFY(calibration.has_value());
        QCOMPARE(toQString(calibration->text), QDir(demoFolder()).absoluteFilePath(u"stories-calibration.txt"_s));
    }

    void windowsBeyondTheContextAreRefusedBeforeARun()
    {
        Recipe recipe = session().recipe();
        recipe.evaluations = {
            {"long", {.text = toPath(demoFolder()) / "stories-heldout.txt", .length = 2048, .count = 1}}};
        session().setRecipe(recipe);
        const QString problem = session().startRun();
        QVERIFY2(problem.contains(u"stories-heldout.txt"_s) && problem.contains(u"512"_s), qPrintable(problem));
        QVERIFY(session().jobs().jobs().empty());
    }

    void theWheelScrollsTheRecipe()
    {
        auto* box = m_fixture->find<QSpinBox>("calibrationCount");
        auto* method = m_fixture->find<QComboBox>("method");
        window().views()->setFocus();
        const auto turn = [](QWidget* widget) {
            const QPointF at = widget->rect().center();
            QWheelEvent event(at, widget->mapToGlobal(at), {}, {0, -120}, Qt::NoButton, Qt::NoModifier,
                              Qt::NoScrollPhase, false);
            QApplication::sendEvent(widget, &event);
        };
        const int count = box->value();
        const int chosen = method->currentIndex();
        turn(box);
        turn(method);
        QCOMPARE(box->value(), count);
        QCOMPARE(method->currentIndex(), chosen);
        QVERIFY(!box->hasFocus() && !method->hasFocus());
        box->setFocus();
        turn(box);
        QCOMPARE(box->value(), count - 1);
    }

    void plansAreNamedAndDeleted()
    {
        window().views()->setCurrentWidget(window().rankPlanPanel());
        auto* forget = m_fixture->find<QToolButton>("forgetPlan");
        auto* named = m_fixture->find<QComboBox>("namedPlans");
        QVERIFY(!forget->isEnabled() && !named->isEnabled());
        plan().keepAs(u"mine"_s);
        QCOMPARE(named->currentText(), u"mine"_s);
        plan().setKeptRatio(0.5);
        QCOMPARE(named->currentIndex(), -1);
        QCOMPARE(named->placeholderText(), u"choose one"_s);
        const auto ranks = plan().state().ranks;
        forget->menu()->actions().front()->trigger();
        QVERIFY(plan().named().empty() && plan().state().ranks == ranks);
        QVERIFY(!forget->isEnabled());
    }

    /// Runs of the command line are there when the window is looked at again.
    void runsOfOtherProgramsAppear()
    {
        QVERIFY(waitUntil([this] { return session().runs().store() != nullptr; }));
        Recipe recipe = session().recipe();
        recipe.calibration.reset();
        recipe.evaluations.clear();
        Store other(session().runs().file());
        runRecipe(recipe, other, {.cache = m_fixture->folder() / "own-cache"}, {});
        QVERIFY(session().runs().runs().empty());
        session().runs().lookAgain();
        QVERIFY(waitUntil([this] { return session().runs().runs().size() == 1; }));
        int told = 0;
        connect(&session().runs(), &RunStore::runsChanged, this, [&told] { ++told; });
        session().runs().lookAgain();
        session().runs().refresh();
        QVERIFY(waitUntil([&told] { return told > 0; }));
        QCOMPARE(told, 1);
    }

    void rolesAndNumbersAreFilteredWhole()
    {
        const auto shown = [&](const QString& text) {
            window().modelPanel()->filter()->setText(text);
            std::vector<std::string> names;
            const QAbstractItemModel* model = window().modelPanel()->tree()->model();
            for (int block = 0; block < model->rowCount(); ++block)
                for (int row = 0; row < model->rowCount(model->index(block, 0)); ++row)
                    names.push_back(model->data(model->index(row, 0, model->index(block, 0)), Qt::ToolTipRole)
                                        .toString()
                                        .toStdString());
            return names;
        };
        QCOMPARE(shown(u"block 2 o"_s), std::vector<std::string>{"model.layers.2.self_attn.o_proj"});
        QCOMPARE(shown(u"2 mlp"_s).size(), std::size_t{3});
        QCOMPARE(shown(u"proj"_s).size(), plan().state().ranks.size());
    }

    /// With all docks 1200 x 768, with one of the side docks closed 1024 x 768.
    void itFitsASmallScreen()
    {
        const QSize least = window().minimumSizeHint();
        QVERIFY2(least.width() <= 1200 && least.height() <= 768, qPrintable(QString::number(least.width())));
        m_fixture->find<QDockWidget>("modelDock")->close();
        QTRY_VERIFY2(window().minimumSizeHint().width() <= 1024,
                     qPrintable(QString::number(window().minimumSizeHint().width())));
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
};

QTEST_MAIN(TestWindowPlan)
#include "tst_window_plan.moc"
