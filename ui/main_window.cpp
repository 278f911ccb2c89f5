#include "ui/main_window.h"

#include "ui/dialogs/run_comparison_dialog.h"
#include "ui/models/health_model.h"
#include "ui/models/job_model.h"
#include "ui/panels/error_map_panel.h"
#include "ui/panels/health_panel.h"
#include "ui/panels/inspector.h"
#include "ui/panels/jobs_panel.h"
#include "ui/panels/log_panel.h"
#include "ui/panels/model_panel.h"
#include "ui/panels/overview_bar.h"
#include "ui/panels/rank_plan_panel.h"
#include "ui/panels/recipe_panel.h"
#include "ui/panels/runs_panel.h"
#include "ui/panels/similarity_panel.h"
#include "ui/panels/spectrum_panel.h"
#include "ui/panels/start_page.h"
#include "ui/panels/text_panel.h"
#include "ui/panels/training_panel.h"
#include "ui/session/settings.h"
#include "ui/session/text.h"
#include "ui/theme/wheel_guard.h"

#include <QAbstractButton>
#include <QApplication>
#include <QCloseEvent>
#include <QDockWidget>
#include <QFileInfo>
#include <QLabel>
#include <QMessageBox>
#include <QMimeData>
#include <QSplitter>
#include <QStackedWidget>
#include <QStatusBar>
#include <QTabWidget>
#include <QTimer>
#include <QToolBar>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

const QString geometryKey = u"window/geometry"_s;
const QString stateKey = u"window/state"_s;
const QString lastModelKey = u"window/lastModel"_s;
const QString viewKey = u"window/view"_s;
constexpr int stateVersion = 1;

} // namespace

MainWindow::MainWindow(SessionPlaces places, QWidget* parent)
    : QMainWindow(parent)
    , m_session(std::move(places))
    , m_stack(new QStackedWidget)
    , m_views(new QTabWidget)
    , m_jobLine(new QLabel)
{
    setObjectName(u"mainWindow"_s);
    setAcceptDrops(true);
    qApp->installEventFilter(new WheelGuard(this));
    setDockNestingEnabled(true);
    m_start = new StartPage(m_session);
    createViews();
    m_stack->addWidget(m_start);
    m_stack->addWidget(m_views);
    setCentralWidget(m_stack);
    createDocks();
    createActions();
    m_jobLine->setObjectName(u"jobLine"_s);
    statusBar()->addPermanentWidget(m_jobLine);
    connectSession();
    resize(1440, 900);
    m_defaultState = saveState(stateVersion);
    restoreGeometry(Settings::value(geometryKey));
    m_arranged = restoreState(Settings::value(stateKey), stateVersion);
    showWorkspace(false);
    m_session.runs().open();
}

MainWindow::~MainWindow() = default;

void MainWindow::createViews()
{
    m_views->setObjectName(u"views"_s);
    m_views->setDocumentMode(true);
    m_spectrum = new SpectrumPanel(m_session);
    m_plan = new RankPlanPanel(m_session);
    m_map = new ErrorMapPanel(m_session);
    m_views->addTab(m_spectrum, tr("Spectrum"));
    m_views->addTab(m_plan, tr("Rank plan"));
    m_views->addTab(m_map, tr("Error map"));
    m_runs = new RunsPanel(m_session);
    m_views->addTab(m_runs, tr("Runs"));
    connect(m_runs, &RunsPanel::mapRequested, this, [this] {
        m_map->setQuantity(ErrorMapPanel::Quantity::Measured);
        m_views->setCurrentWidget(m_map);
    });
    connect(m_runs, &RunsPanel::exportRequested, this, &MainWindow::exportRun);
    connect(m_runs, &RunsPanel::compareRequested, this, [this](const std::vector<std::int64_t>& runs) {
        (new RunComparisonDialog(m_session, runs, this))->show();
    });
    connect(m_runs, &RunsPanel::message, this, [this](const QString& text) { statusBar()->showMessage(text, 8000); });
    m_training = new TrainingPanel(m_session);
    m_views->addTab(m_training, tr("Training"));
    m_similarity = new SimilarityPanel(m_session);
    m_views->addTab(m_similarity, tr("Similarity"));
    m_views->addTab(new TextPanel(m_session), tr("Text"));
}

QDockWidget* MainWindow::addDock(Qt::DockWidgetArea area, const QString& title, const QString& name, QWidget* widget)
{
    auto* dock = new QDockWidget(title);
    dock->setObjectName(name);
    dock->setWidget(widget);
    addDockWidget(area, dock);
    m_docks.append(dock);
    return dock;
}

void MainWindow::createDocks()
{
    m_model = new ModelPanel(m_session);
    auto* inspector = new Inspector(m_session);
    auto* left = new QSplitter(Qt::Vertical);
    left->addWidget(m_model);
    left->addWidget(inspector);
    left->setStretchFactor(0, 3);
    left->setStretchFactor(1, 2);
    m_recipe = new RecipePanel(m_session);
    m_log = new LogPanel;
    QDockWidget* model = addDock(Qt::LeftDockWidgetArea, tr("Model"), u"modelDock"_s, left);
    QDockWidget* recipe = addDock(Qt::RightDockWidgetArea, tr("Recipe"), u"recipeDock"_s, m_recipe);
    QDockWidget* jobs = addDock(Qt::BottomDockWidgetArea, tr("Jobs"), u"jobsDock"_s, new JobsPanel(m_session));
    QDockWidget* health = addDock(Qt::BottomDockWidgetArea, tr("Health"), u"healthDock"_s, new HealthPanel(m_session));
    QDockWidget* log = addDock(Qt::BottomDockWidgetArea, tr("Log"), u"logDock"_s, m_log);
    tabifyDockWidget(jobs, health);
    tabifyDockWidget(health, log);
    jobs->raise();
    setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
    setCorner(Qt::BottomRightCorner, Qt::RightDockWidgetArea);
    const int unit = fontMetrics().horizontalAdvance(u'0');
    left->setMinimumWidth(unit * 30);
    m_dockSizes = {{model, m_model->widthOfColumns()}, {recipe, unit * 48}, {jobs, fontMetrics().lineSpacing() * 10}};
    connect(&m_session.health(), &HealthLog::added, health, [this, health] {
        const int attention = m_session.health().attention();
        health->setWindowTitle(attention > 0 ? tr("Health (%1)").arg(attention) : tr("Health"));
    });
    connect(&m_session.health(), &HealthLog::cleared, health, [health] { health->setWindowTitle(tr("Health")); });
}

void MainWindow::connectSession()
{
    connect(m_start, &StartPage::openFolderRequested, this, &MainWindow::openFolder);
    connect(m_start, &StartPage::openFileRequested, this, &MainWindow::openFile);
    connect(m_start, &StartPage::openRequested, this, &MainWindow::openPath);
    connect(m_recipe, &RecipePanel::message, this,
            [this](const QString& text) { statusBar()->showMessage(text, 8000); });
    connect(&m_session, &Session::modelOpened, this, [this] {
        const DocumentPtr document = m_session.document();
        setWindowTitle(u"%1 - Rankwright"_s.arg(document->name));
        Settings::setText(lastModelKey, document->path);
        m_start->refresh();
        refreshRecent();
        showWorkspace(true);
    });
    connect(&m_session, &Session::modelClosed, this, [this] {
        setWindowTitle(u"Rankwright"_s);
        m_start->refresh();
        showWorkspace(false);
    });
    connect(&m_session, &Session::modelFailed, this, [this](const QString& path, const Failure& failure) {
        Failure told = failure;
        // What the engine says begins with the path in most cases.
        told.message = failure.message.startsWith(path)
                           ? tr("This could not be opened: %1").arg(shownPath(failure.message))
                           : tr("%1 could not be opened: %2").arg(shownPath(path), failure.message);
        showProblem(told);
    });
    connect(&m_session, &Session::problem, this, &MainWindow::showProblem);
    connect(&m_session, &Session::notice, this, [this](const QString& text) {
        m_log->add(text);
        statusBar()->showMessage(text, 15000);
    });
    connect(&m_session.jobs(), &JobQueue::changed, this, &MainWindow::refreshActions);
    const auto jobLine = [this] {
        const Job* job = m_session.jobs().running();
        m_jobLine->setVisible(job != nullptr);
        if (job != nullptr)
            m_jobLine->setText(job->progress.secondsLeft >= 0.0
                                   ? tr("%1: %2 %, %3 left")
                                         .arg(job->title)
                                         .arg(static_cast<int>(100.0 * job->progress.fraction))
                                         .arg(durationText(job->progress.secondsLeft))
                                   : job->title);
    };
    connect(&m_session.jobs(), &JobQueue::progressed, this, jobLine);
    connect(&m_session.jobs(), &JobQueue::changed, this, jobLine);
    connect(&m_session.jobs(), &JobQueue::ended, this, [this] {
        if (m_closingAnyway && m_session.jobs().idle())
            close();
    });
    setWindowTitle(u"Rankwright"_s);
}

void MainWindow::showWorkspace(bool shown)
{
    m_stack->setCurrentIndex(shown ? 1 : 0);
    for (QDockWidget* dock : std::as_const(m_docks)) {
        if (!shown)
            dock->setProperty("wasHidden", dock->isHidden());
        dock->setVisible(shown && !dock->property("wasHidden").toBool());
    }
    m_overview->setVisible(shown);
    // Docks take sizes only once they are shown.
    if (shown && !m_arranged)
        QTimer::singleShot(0, this, &MainWindow::arrangeDocks);
    m_arranged = m_arranged || shown;
    refreshActions();
}

void MainWindow::arrangeDocks()
{
    // All of one direction at once: each call of its own takes from the docks of the calls before.
    for (const Qt::Orientation direction : {Qt::Horizontal, Qt::Vertical}) {
        QList<QDockWidget*> docks;
        QList<int> sizes;
        for (const auto& [dock, size] : m_dockSizes)
            if ((dockWidgetArea(dock) == Qt::BottomDockWidgetArea) == (direction == Qt::Vertical)) {
                docks.append(dock);
                sizes.append(size);
            }
        resizeDocks(docks, sizes, direction);
    }
}

void MainWindow::openPath(const QString& path)
{
    const QFileInfo info(path);
    const QString suffix = info.suffix().toLower();
    const bool model = info.isDir() || suffix == u"gguf"_s || suffix == u"safetensors"_s || !info.exists();
    if (!model && suffix == u"json"_s) {
        m_recipe->loadRecipeFile(path);
    } else if (!model && m_session.document()) {
        m_session.recipeState().change([&](Recipe& recipe) {
            if (!recipe.calibration)
                recipe.calibration = WindowOptions{.text = {}, .length = 256, .count = 128};
            recipe.calibration->text = toPath(info.absoluteFilePath());
        });
        statusBar()->showMessage(tr("Calibration text: %1").arg(path), 8000);
    } else {
        m_session.openModel(path);
    }
}

void MainWindow::restoreSession()
{
    const QString last = Settings::text(lastModelKey);
    if (!last.isEmpty() && QFileInfo::exists(last)) {
        m_views->setCurrentIndex(Settings::text(viewKey, u"0"_s).toInt());
        openPath(last);
    }
}

void MainWindow::showProblem(const Failure& failure)
{
    m_log->add(tr("error: %1").arg(failure.message));
    if (failure.cancelled())
        return;
    // One box at a time: what comes while one is open is in the log.
    if (findChild<QMessageBox*>(u"problem"_s) != nullptr)
        return;
    auto* box = new QMessageBox(QMessageBox::Warning, tr("Rankwright"), failure.message, QMessageBox::Ok, this);
    box->setObjectName(u"problem"_s);
    box->setTextInteractionFlags(Qt::TextSelectableByMouse);
    box->setEscapeButton(QMessageBox::Ok);
    box->setAttribute(Qt::WA_DeleteOnClose);
    if (!m_session.runs().store() && m_session.runs().failure().message == failure.message) {
        const auto* again = box->addButton(tr("Try again"), QMessageBox::AcceptRole);
        connect(box, &QMessageBox::buttonClicked, this, [this, again](const QAbstractButton* button) {
            if (static_cast<const void*>(button) == static_cast<const void*>(again))
                m_session.runs().open();
        });
    }
    box->open();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event)
{
    if (event->mimeData()->hasUrls())
        event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event)
{
    for (const QUrl& url : event->mimeData()->urls()) {
        if (url.isLocalFile()) {
            event->acceptProposedAction();
            openPath(url.toLocalFile());
            return;
        }
    }
}

void MainWindow::askAndClose()
{
    auto* box = new QMessageBox(QMessageBox::Question, tr("A job is running"),
                                tr("Stop it and close? What is recorded stays, and the run can be resumed."),
                                QMessageBox::Cancel, this);
    box->setObjectName(u"closeQuestion"_s);
    box->setAttribute(Qt::WA_DeleteOnClose);
    const auto* stop = box->addButton(tr("Stop and close"), QMessageBox::AcceptRole);
    connect(box, &QMessageBox::buttonClicked, this, [this, stop](const QAbstractButton* button) {
        if (static_cast<const void*>(button) != static_cast<const void*>(stop))
            return;
        m_closingAnyway = true;
        m_session.jobs().cancelAll();
        statusBar()->showMessage(tr("Stopping after this step ..."));
        if (m_session.jobs().idle())
            close();
    });
    box->open();
}

void MainWindow::changeEvent(QEvent* event)
{
    QMainWindow::changeEvent(event);
    // Runs of the command line may have come while another window had the keyboard.
    if (event->type() == QEvent::ActivationChange && isActiveWindow())
        m_session.runs().lookAgain();
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (!m_session.jobs().idle()) {
        event->ignore();
        if (!m_closingAnyway && findChild<QMessageBox*>(u"closeQuestion"_s) == nullptr)
            askAndClose();
        return;
    }
    m_session.saveProject();
    Settings::setValue(geometryKey, saveGeometry());
    if (m_session.document())
        Settings::setValue(stateKey, saveState(stateVersion));
    else
        Settings::setText(lastModelKey, {});
    Settings::setText(viewKey, QString::number(m_views->currentIndex()));
    QMainWindow::closeEvent(event);
}

} // namespace rankwright::ui
