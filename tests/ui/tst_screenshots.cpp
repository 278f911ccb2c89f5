#include "tests/ui/window_fixture.h"
#include "ui/dialogs/export_dialog.h"
#include "ui/dialogs/run_comparison_dialog.h"
#include "ui/models/linear_tree_model.h"
#include "ui/models/run_table_model.h"
#include "ui/panels/error_map_panel.h"
#include "ui/panels/recipe_panel.h"
#include "ui/panels/runs_panel.h"
#include "ui/panels/similarity_panel.h"
#include "ui/panels/spectrum_panel.h"
#include "ui/panels/text_panel.h"
#include "ui/panels/training_panel.h"
#include "ui/plots/heat_map.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"
#include "ui/theme/theme.h"

#include <QAction>
#include <QComboBox>
#include <QDir>
#include <QDockWidget>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QMessageBox>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QScrollBar>
#include <QSpinBox>
#include <QTabWidget>
#include <QTableView>
#include <QTreeView>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// Every view and dialog of the real window on SmolLM2, light and dark: nothing is empty and no text is cut. With
/// $RANKWRIGHT_SCREENSHOTS the runs are of all linears, and the pictures are written to that folder.
class TestScreenshots : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_folder = qEnvironmentVariable("RANKWRIGHT_SCREENSHOTS");
        // A home of its own, so that the paths that are shown say nothing of the machine.
        QVERIFY(m_home.isValid());
        qputenv("HOME", m_home.path().toUtf8());
        QVERIFY(QDir().mkpath(m_home.filePath(u"models"_s)));
        m_model = m_home.filePath(u"models/SmolLM2-135M-Instruct.Q4_1.gguf"_s);
        QVERIFY(QFile::link(qEnvironmentVariable("RANKWRIGHT_SMOLLM2"), m_model));
        for (const QString& text : {u"stories-calibration.txt"_s, u"stories-heldout.txt"_s})
            QVERIFY(QFile::copy(demoFolder() + u'/' + text, m_home.filePath(text)));
        m_fixture = std::make_unique<WindowFixture>();
    }

    void cleanupTestCase() { m_fixture.reset(); }

    void spectrum()
    {
        m_fixture->openModel(m_model);
        session().recipeState().change([this](Recipe& recipe) {
            recipe.name = "whitened, kept 0.8";
            recipe.method = "whitened-svd";
            recipe.calibration = WindowOptions{.text = toPath(m_home.filePath(u"stories-calibration.txt"_s)),
                                               .length = 128,
                                               .count = whole() ? std::size_t(16) : std::size_t(8)};
            recipe.evaluations = {
                {{}, {.text = toPath(m_home.filePath(u"stories-heldout.txt"_s)), .length = 128, .count = 8}}};
            recipe.forecast = true;
        });
        QVERIFY(waitUntil([&] { return session().calibration().state() == CalibrationService::State::Missing; }));
        QCOMPARE(session().startCalibration(), QString());
        QVERIFY(waitUntil([&] { return session().calibration().state() == CalibrationService::State::Ready; }, 900));
        session().selection().set({9});
        window().spectrumPanel()->setMethods({u"svd"_s, u"asvd"_s, u"whitened-svd"_s, u"nsvd"_s});
        QVERIFY(waitUntil([&] {
            for (const char* method : {"svd", "asvd", "whitened-svd", "nsvd"})
                if (!session().spectra().find(session().analysisOf(method, {}), 9))
                    return false;
            return true;
        }));
        QVERIFY(waitUntil([&] { return session().plan().known() == 210; }, 900));
        QCOMPARE(session().startMeasuring(), QString());
        QVERIFY(waitUntil([&] { return session().jobs().idle(); }, 900));
        QTRY_VERIFY(m_fixture->find<QLabel>("forecast")->text().startsWith(u"Forecast on "_s));
        QTest::qWait(200);
        take(u"spectrum"_s);
    }

    void severalLinears()
    {
        window().spectrumPanel()->setMethods({u"whitened-svd"_s});
        window().spectrumPanel()->setQuantity(SpectrumPanel::Quantity::Energy);
        session().selection().set({9, 44, 79, 114, 149, 184});
        QTRY_COMPARE(window().spectrumPanel()->plot()->data().series.size(), 6);
        take(u"energy"_s);
        window().spectrumPanel()->setQuantity(SpectrumPanel::Quantity::Loss);
        session().selection().set({9});
    }

    void rankPlan()
    {
        session().plan().setAllocator("marginal-loss");
        QVERIFY(waitUntil([&] { return !session().plan().waiting(); }));
        session().plan().setGhost("uniform");
        window().views()->setCurrentIndex(1);
        QVERIFY(waitUntil([&] { return !session().plan().ghost().empty(); }));
        session().plan().setRanks({10, 11}, 100);
        take(u"rank-plan"_s);
        session().plan().setAllocator("uniform");
        session().plan().setGhost({});
        session().plan().reallocateNow();
        session().plan().setLocked({10, 11}, false);
    }

    void errorMap()
    {
        window().views()->setCurrentIndex(2);
        take(u"error-map"_s);
    }

    void running()
    {
        if (!whole())
            session().recipeState().change([](Recipe& recipe) { recipe.only = {"v"}; });
        QVERIFY(waitUntil([&] { return !session().plan().waiting(); }));
        const std::size_t some = whole() ? 100 : 4;
        QCOMPARE(session().startRun(), QString());
        window().errorMapPanel()->setQuantity(ErrorMapPanel::Quantity::Measured);
        QVERIFY(waitUntil(
            [&] {
                const Job* job = session().jobs().running();
                return job != nullptr && job->progress.stage == u"factorise"_s && job->progress.done > some;
            },
            900));
        take(u"running"_s);
        QVERIFY(waitUntil([&] { return session().jobs().idle(); }, 900));
        const std::vector<std::pair<std::string, double>> others =
            whole() ? std::vector<std::pair<std::string, double>>{{"svd", 0.8}, {"svd", 0.9}, {"whitened-svd", 0.9}}
                    : std::vector<std::pair<std::string, double>>{{"svd", 0.8}};
        for (const auto& [method, ratio] : others) {
            session().recipeState().change([&, name = method](Recipe& recipe) {
                recipe.method = name;
                recipe.name.clear();
            });
            session().plan().setKeptRatio(ratio);
            QVERIFY(waitUntil([&] { return !session().plan().waiting(); }, 900));
            QCOMPARE(session().startRun(), QString());
            QVERIFY(waitUntil([&] { return session().jobs().idle(); }, 900));
        }
        m_runs = others.size() + 1;
    }

    void runs()
    {
        RunsPanel* panel = window().runsPanel();
        window().views()->setCurrentWidget(panel);
        QVERIFY(waitUntil([&] {
            const RunView& view = *panel->model()->view();
            bool finished = view.size() == qsizetype(m_runs);
            for (int row = 0; finished && row < view.size(); ++row)
                finished = view.run(row).state == RunState::Finished;
            return finished;
        }));
        panel->selectRuns({1, 2});
        QTRY_VERIFY(!panel->findChild<PlotWidget*>(u"runPlot"_s)->data().series.isEmpty());
        take(u"runs"_s);
        auto* against = panel->findChild<QComboBox*>(u"runCost"_s);
        against->setCurrentIndex(against->count() - 1);
        QTRY_VERIFY(panel->plot()->data().x.title.startsWith(u"forecast"_s));
        take(u"runs-forecast"_s);
        against->setCurrentIndex(0);
    }

    void comparison()
    {
        window().runsPanel()->findChild<QAction*>(u"compareRuns"_s)->trigger();
        auto* compared = dialog<RunComparisonDialog>();
        QTRY_VERIFY(compared->comparison());
        const QStringList names{u"compare-figures"_s, u"compare-linears"_s, u"compare-plot"_s};
        for (int tab = 0; tab < names.size(); ++tab) {
            compared->findChild<QTabWidget*>(u"comparisonTabs"_s)->setCurrentIndex(tab);
            auto* quantity = compared->findChild<QComboBox*>(u"comparisonQuantity"_s);
            quantity->setCurrentIndex(quantity->count() - 1);
            take(names[tab], compared);
        }
        compared->close();
    }

    void differenceOfRuns()
    {
        window().runsPanel()->selectRuns({1});
        window().runsPanel()->findChild<QAction*>(u"showRun"_s)->trigger();
        QTRY_COMPARE(session().measuredRun(), 1);
        QTRY_VERIFY(session().shownRun().has_value());
        window().errorMapPanel()->setQuantity(ErrorMapPanel::Quantity::Difference);
        auto* other = m_fixture->find<QComboBox>("mapOther");
        other->setCurrentIndex(other->findData(qlonglong(2)));
        emit other->activated(other->currentIndex());
        const auto known = [](double value) { return std::isfinite(value); };
        QTRY_VERIFY(std::ranges::any_of(window().errorMapPanel()->map()->data().values, known));
        take(u"difference"_s);
    }

    void training()
    {
        const Recipe before = session().recipeState().recipe();
        session().recipeState().change([this](Recipe& recipe) {
            recipe.name = "distilled";
            recipe.evaluations.clear();
            recipe.distillation = DistillationOptions{
                .training = {.windows = 4, .epochs = whole() ? std::size_t(8) : std::size_t(2), .batch = 2}};
        });
        QCOMPARE(session().startRun(), QString());
        window().views()->setCurrentWidget(window().trainingPanel());
        QVERIFY(waitUntil([&] { return session().jobs().idle(); }, 900));
        QTRY_VERIFY(window().trainingPanel()->plot()->data().series.size() > 10);
        QTest::qWait(200);
        take(u"training"_s);
        session().recipeState().set(before);
    }

    void similarity()
    {
        auto* panel = window().similarityPanel();
        window().views()->setCurrentWidget(panel);
        // Unlike stories.
        QFile numbers(m_home.filePath(u"numbers.txt"_s));
        QVERIFY(numbers.open(QIODevice::WriteOnly));
        for (int i = 0; i < 8000; ++i)
            numbers.write(QByteArray::number(i * 7919 % 100003) + (i % 12 == 11 ? '\n' : ' '));
        numbers.close();
        panel->addTexts({m_home.filePath(u"stories-heldout.txt"_s), numbers.fileName()});
        QTest::mouseClick(m_fixture->find<QPushButton>("compareTexts"), Qt::LeftButton);
        QVERIFY(waitUntil([&] { return session().jobs().idle(); }, 900));
        QCOMPARE(session().jobs().jobs().back().state, JobState::Finished);
        QTRY_COMPARE(panel->plot()->data().series.size(), 8);
        take(u"similarity"_s);
    }

    void text()
    {
        auto* panel = window().findChild<TextPanel*>();
        window().views()->setCurrentWidget(panel);
        panel->setRun(1);
        panel->prompt()->setPlainText(u"The little fox came to a wide river. She wanted to see her friend on the other "
                                      "side, but the water was deep and cold."_s);
        m_fixture->find<QSpinBox>("textTokens")->setValue(whole() ? 60 : 8);
        const auto idle = [panel] { return panel->service().activity() == TextService::Activity::None; };
        activate();
        panel->prompt()->setFocus();
        QTest::keyClick(panel->prompt(), Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(waitUntil(idle, 120));
        take(u"text-continued"_s);
        QTest::keyClick(panel->prompt(), Qt::Key_Return, Qt::ControlModifier | Qt::ShiftModifier);
        QVERIFY(waitUntil(idle, 120));
        QVERIFY(panel->scoredText() != nullptr);
        take(u"text-scored"_s);
    }

    void exportARun()
    {
        trigger(QKeySequence(u"Ctrl+E"_s));
        auto* exported = dialog<ExportDialog>();
        auto* start = exported->findChild<QPushButton*>(u"startExport"_s);
        QTRY_VERIFY(start->isEnabled());
        take(u"export"_s, exported);
        exported->findChild<QLineEdit*>(u"exportFolder"_s)->setText(u"~/models/SmolLM2-0.8"_s);
        QTest::mouseClick(start, Qt::LeftButton);
        auto* result = exported->findChild<QLabel*>(u"exportResult"_s);
        QVERIFY(waitUntil([&] { return session().jobs().idle() && !result->text().isEmpty(); }, 120));
        take(u"exported"_s, exported);
        exported->close();
    }

    void docks()
    {
        window().views()->setCurrentIndex(0);
        QTRY_VERIFY(!window().spectrumPanel()->plot()->data().series.isEmpty());
        // Fewer tokens than the widest input has channels: something for the health view. A number of windows that no
        // step before has calibrated with.
        const Recipe before = session().recipe();
        session().recipeState().change([](Recipe& recipe) { recipe.calibration->count = 6; });
        auto* calibrate = m_fixture->find<QPushButton>("calibrate");
        QVERIFY(waitUntil([calibrate] { return calibrate->isEnabled(); }));
        QTest::mouseClick(calibrate, Qt::LeftButton);
        QVERIFY(waitUntil([this] { return session().health().attention() > 0; }, 300));
        QVERIFY(waitUntil([this] { return session().jobs().idle(); }, 300));
        session().recipeState().set(before);
        for (const char* name : {"health", "log"}) {
            auto* dock = m_fixture->find<QDockWidget>(QByteArray(name).append("Dock"));
            window().resizeDocks({dock}, {360}, Qt::Vertical);
            dock->raise();
            if (auto* table = dock->findChild<QTableView*>(u"healthTable"_s))
                table->selectRow(0);
            take(QString::fromLatin1(name), dock);
        }
        auto* jobs = m_fixture->find<QDockWidget>("jobsDock");
        jobs->raise();
        const auto run = std::ranges::find(session().jobs().jobs(), JobKind::Compress, &Job::kind);
        QVERIFY(run != session().jobs().jobs().end());
        m_fixture->find<QTableView>("jobTable")->selectRow(static_cast<int>(run - session().jobs().jobs().begin()));
        take(u"jobs"_s, jobs);
        session().recipeState().change([this](Recipe& recipe) {
            WeightedText& more = recipe.moreCalibrations.emplace_back(WeightedText{.windows = *recipe.calibration});
            more.windows.text = toPath(m_home.filePath(u"numbers.txt"_s));
            more.weight = 0.25;
        });
        // All of the recipe, which scrolls in its dock.
        auto* scroll = window().recipePanel()->findChild<QScrollArea*>();
        take(u"recipe"_s, scroll->widget());
        session().recipeState().change([](Recipe& recipe) { recipe.moreCalibrations.clear(); });
    }

    void dialogs()
    {
        trigger(QKeySequence(Qt::Key_F1));
        auto* shortcuts = window().findChild<QDialog*>(u"shortcuts"_s);
        QVERIFY(shortcuts != nullptr);
        take(u"shortcuts"_s, shortcuts);
        shortcuts->close();

        // Qt runs the menu of a plot's actions in a loop of its own; this one is the same without.
        QMenu menu;
        menu.addActions(window().spectrumPanel()->plot()->actions());
        menu.resize(menu.sizeHint());
        take(u"plot-menu"_s, &menu);

        QFile broken(m_home.filePath(u"broken.safetensors"_s));
        QVERIFY(broken.open(QIODevice::WriteOnly));
        broken.write("not a model");
        broken.close();
        m_fixture->drop(broken.fileName());
        QMessageBox* box = nullptr;
        QVERIFY(waitUntil([&] { return (box = m_fixture->find<QMessageBox>("problem")) != nullptr; }));
        take(u"problem"_s, box);
        QTest::keyClick(box, Qt::Key_Escape);

        session().recipeState().change([](Recipe& recipe) { recipe.name = "stopped"; });
        QCOMPARE(session().startRun(), QString());
        window().close();
        auto* question = m_fixture->find<QMessageBox>("closeQuestion");
        QVERIFY(question != nullptr);
        take(u"close"_s, question);
        QTest::keyClick(question, Qt::Key_Escape);
        session().jobs().cancelAll();
        QVERIFY(waitUntil([&] { return session().jobs().idle(); }));
    }

    void startPage()
    {
        session().closeModel();
        QTest::qWait(300);
        take(u"start"_s);
    }

private:
    MainWindow& window() { return m_fixture->window(); }
    Session& session() { return m_fixture->session(); }
    bool whole() const { return !m_folder.isEmpty(); }

    /// Shortcuts go to the active window.
    void activate()
    {
        window().activateWindow();
        QVERIFY(QTest::qWaitForWindowActive(&window()));
    }

    /// What a shortcut of the window does.
    void trigger(const QKeySequence& keys)
    {
        for (QAction* action : window().findChildren<QAction*>())
            if (action->shortcut() == keys)
                action->trigger();
    }

    template <typename Dialog>
    Dialog* dialog()
    {
        Dialog* found = nullptr;
        if (!waitUntil([&] { return (found = window().findChild<Dialog*>()) != nullptr; }))
            qFatal("no dialog");
        return found;
    }

    /// The window, or a part or dialog of it, light and dark; the scale is that of the process (QT_SCALE_FACTOR).
    void take(const QString& name, QWidget* widget = nullptr)
    {
        if (widget == nullptr)
            widget = &window();
        const auto scale = static_cast<int>(widget->devicePixelRatioF());
        for (const Appearance appearance : {Appearance::Dark, Appearance::Light}) {
            applyAppearance(*qApp, appearance);
            QTest::qWait(150);
            const QImage image = widget->grab().toImage().convertToFormat(QImage::Format_RGB32);
            QVERIFY2(coloursOf(image) > 20, qPrintable(name));
            // A text that has just changed has its place only after this.
            QCoreApplication::sendPostedEvents(nullptr, QEvent::LayoutRequest);
            const QStringList cut = cutTexts(widget);
            QVERIFY2(cut.isEmpty(), qPrintable(name + u": "_s + cut.join(u"; "_s)));
            if (m_folder.isEmpty())
                continue;
            const QString shade = appearance == Appearance::Dark ? u"dark"_s : u"light"_s;
            const QString folder = scale == 1 ? m_folder : u"%1/%2x"_s.arg(m_folder).arg(scale);
            QVERIFY(QDir().mkpath(folder));
            QVERIFY(image.save(u"%1/%2-%3.png"_s.arg(folder, name, shade)));
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

    /// Texts of one line, and columns of the model's tree, that are wider than what shows them, but for those that give
    /// way on purpose.
    static QStringList cutTexts(QWidget* of)
    {
        QStringList cut;
        for (QWidget* widget : of->findChildren<QWidget*>()) {
            if (!widget->isVisibleTo(of) || widget->sizePolicy().horizontalPolicy() == QSizePolicy::Ignored)
                continue;
            if (const auto* tree = qobject_cast<QTreeView*>(widget);
                tree != nullptr && tree->objectName() == u"linearTree") {
                const int end = tree->header()->sectionViewportPosition(LinearTreeModel::Predicted) +
                                tree->header()->sectionSize(LinearTreeModel::Predicted);
                if (tree->horizontalScrollBar()->value() == 0 && end > tree->viewport()->width())
                    cut.append(
                        u"predicted losses of the tree: %1 of %2 pixels"_s.arg(tree->viewport()->width()).arg(end));
            }
            const auto* label = qobject_cast<QLabel*>(widget);
            const auto* button = qobject_cast<QAbstractButton*>(widget);
            if ((label == nullptr || label->wordWrap()) && button == nullptr)
                continue;
            const QString text = label != nullptr ? label->text() : button->text();
            if (!text.isEmpty() && widget->sizeHint().width() > widget->width())
                cut.append(u"%1 \"%2\""_s.arg(widget->objectName(), text));
        }
        return cut;
    }

    QTemporaryDir m_home;
    QString m_folder;
    QString m_model;
    std::size_t m_runs = 0;
    std::unique_ptr<WindowFixture> m_fixture;
};

QTEST_MAIN(TestScreenshots)
#include "tst_screenshots.moc"
