#include "core/base/version.h"
#include "ui/dialogs/export_dialog.h"
#include "ui/main_window.h"
#include "ui/panels/model_panel.h"
#include "ui/panels/overview_bar.h"
#include "ui/panels/recipe_panel.h"
#include "ui/panels/start_page.h"
#include "ui/session/settings.h"
#include "ui/session/text.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"

#include <QActionGroup>
#include <QApplication>
#include <QDialog>
#include <QDialogButtonBox>
#include <QDockWidget>
#include <QFileDialog>
#include <QFileInfo>
#include <QHeaderView>
#include <QLineEdit>
#include <QMenuBar>
#include <QMessageBox>
#include <QStatusBar>
#include <QTabWidget>
#include <QTableWidget>
#include <QToolBar>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

QAction* MainWindow::addAction(QMenu* menu, const QString& text, const QString& iconName, const QKeySequence& shortcut,
                               const QString& tip, const std::function<void()>& call)
{
    QAction* action = menu->addAction(text);
    if (!iconName.isEmpty())
        action->setIcon(icon(iconName));
    action->setShortcut(shortcut);
    action->setStatusTip(tip);
    connect(action, &QAction::triggered, this, call);
    return action;
}

void MainWindow::createActions()
{
    QMenu* file = menuBar()->addMenu(tr("&File"));
    QAction* openFolderAction = addAction(file, tr("Open &folder ..."), u"open"_s, QKeySequence::Open,
                                          tr("Open a Hugging Face folder or an export"), [this] { openFolder(); });
    addAction(file, tr("Open f&ile ..."), {}, QKeySequence(u"Ctrl+Shift+O"_s), tr("Open a .safetensors or .gguf file"),
              [this] { openFile(); });
    m_recent = file->addMenu(tr("&Recent models"));
    addAction(file, tr("Open &demo model"), {}, QKeySequence(u"Ctrl+D"_s), tr("stories260K, opened in a moment"),
              [this] { openPath(demoModel()); });
    file->addSeparator();
    addAction(file, tr("&Load recipe ..."), {}, QKeySequence(u"Ctrl+L"_s), tr("Take a recipe from a JSON file"),
              [this] { m_recipe->loadRecipe(); });
    addAction(file, tr("&Save recipe ..."), u"save"_s, QKeySequence::Save, tr("Write the recipe to a JSON file"),
              [this] { m_recipe->saveRecipe(); });
    addAction(file, tr("&Copy as command"), u"copy"_s, QKeySequence(u"Ctrl+Alt+C"_s),
              tr("The rankwright-cli line of this recipe"), [this] { m_recipe->copyCommand(); });
    file->addSeparator();
    m_export = addAction(file, tr("&Export ..."), u"export"_s, QKeySequence(u"Ctrl+E"_s),
                         tr("Write the run shown, or the latest finished one of this model, to a folder"),
                         [this] { exportShown(); });
    file->addSeparator();
    m_closeModel = addAction(file, tr("Close &model"), {}, QKeySequence::Close, tr("Back to the start page"),
                             [this] { m_session.closeModel(); });
    addAction(file, tr("&Quit"), {}, QKeySequence::Quit, tr("Close the window"), [this] { close(); });

    QMenu* edit = menuBar()->addMenu(tr("&Edit"));
    QUndoStack& undo = m_session.plan().undoStack();
    QAction* undoAction = undo.createUndoAction(this, tr("&Undo"));
    undoAction->setShortcut(QKeySequence::Undo);
    undoAction->setIcon(icon(u"undo"_s));
    QAction* redoAction = undo.createRedoAction(this, tr("&Redo"));
    redoAction->setShortcuts({QKeySequence(u"Ctrl+Shift+Z"_s), QKeySequence(u"Ctrl+Y"_s)});
    redoAction->setIcon(icon(u"redo"_s));
    edit->addAction(undoAction);
    edit->addAction(redoAction);
    edit->addSeparator();
    addAction(edit, tr("&Find linears"), {}, QKeySequence::Find, tr("Filter the tree"), [this] {
        m_model->filter()->setFocus();
        m_model->filter()->selectAll();
    });
    addAction(edit, tr("&Lock ranks"), u"lock"_s, QKeySequence(u"Ctrl+K"_s),
              tr("The allocator leaves the selected linears"),
              [this] { m_session.plan().setLocked(m_session.selection().linears(), true); });
    addAction(edit, tr("U&nlock ranks"), {}, QKeySequence(u"Ctrl+Shift+K"_s),
              tr("The allocator plans the selected linears again"),
              [this] { m_session.plan().setLocked(m_session.selection().linears(), false); });

    QMenu* run = menuBar()->addMenu(tr("&Run"));
    m_calibrate = addAction(run, tr("&Calibrate"), u"calibrate"_s, QKeySequence(u"Ctrl+B"_s),
                            tr("Compute the statistics of the calibration text"), [this] {
                                const QString wrong = m_session.startCalibration();
                                if (!wrong.isEmpty())
                                    statusBar()->showMessage(wrong, 8000);
                            });
    m_run = addAction(run, tr("&Run"), u"run"_s, QKeySequence(u"Ctrl+R"_s), tr("Compress with this recipe"), [this] {
        const QString wrong = m_session.startRun();
        if (!wrong.isEmpty())
            showProblem({ErrorKind::InvalidArgument, wrong, {}, {}});
    });
    m_cancel =
        addAction(run, tr("C&ancel"), u"cancel"_s, QKeySequence(u"Ctrl+."_s), tr("Stop the running job"), [this] {
            if (const Job* job = m_session.jobs().running())
                m_session.jobs().cancel(job->id);
        });

    m_viewMenu = menuBar()->addMenu(tr("&View"));
    for (int view = 0; view < m_views->count(); ++view)
        addAction(m_viewMenu, m_views->tabText(view), {}, QKeySequence(u"Alt+%1"_s.arg(view + 1)), {},
                  [this, view] { m_views->setCurrentIndex(view); });
    m_viewMenu->addSeparator();
    for (QDockWidget* dock : std::as_const(m_docks))
        m_viewMenu->addAction(dock->toggleViewAction());
    addAction(m_viewMenu, tr("Default &layout"), {}, {}, tr("Put all docks back"), [this] {
        restoreState(m_defaultState, 1);
        showWorkspace(m_session.document() != nullptr);
        arrangeDocks();
    });
    m_viewMenu->addSeparator();
    QMenu* appearance = m_viewMenu->addMenu(tr("&Appearance"));
    auto* group = new QActionGroup(this);
    const int chosen = Settings::text(u"window/appearance"_s, u"0"_s).toInt();
    const QStringList names{tr("As the &system"), tr("&Light"), tr("&Dark")};
    for (int i = 0; i < names.size(); ++i) {
        QAction* action = appearance->addAction(names[i]);
        action->setCheckable(true);
        action->setChecked(i == chosen);
        group->addAction(action);
        connect(action, &QAction::triggered, this, [this, i] { setAppearance(i); });
    }
    createHelpMenu();

    m_toolBar = addToolBar(tr("Actions"));
    m_toolBar->setObjectName(u"actionBar"_s);
    m_toolBar->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    m_toolBar->setMovable(false);
    m_toolBar->addActions({openFolderAction, m_calibrate, m_run, m_cancel, m_export, undoAction, redoAction});
    // Their texts name what is undone, which would move the rest of the bar.
    for (QAction* action : {undoAction, redoAction})
        if (auto* button = qobject_cast<QToolButton*>(m_toolBar->widgetForAction(action)))
            button->setToolButtonStyle(Qt::ToolButtonIconOnly);
    addToolBarBreak();
    m_overview = addToolBar(tr("Overview"));
    m_overview->setObjectName(u"overviewBar"_s);
    m_overview->setMovable(false);
    m_overview->addWidget(new OverviewBar(m_session));
    refreshRecent();
    refreshActions();
}

void MainWindow::createHelpMenu()
{
    QMenu* help = menuBar()->addMenu(tr("&Help"));
    addAction(help, tr("&Keyboard shortcuts"), {}, QKeySequence(Qt::Key_F1), tr("A list of all shortcuts"),
              [this] { showShortcuts(); });
    addAction(help, tr("&About Rankwright"), {}, {}, {}, [this] {
        auto* box = new QMessageBox(QMessageBox::Information, tr("About Rankwright"),
                                    tr("Rankwright %1\nLow-rank, activation-aware compression of language models.\n\n"
                                       "Free software under the GNU General Public License, version 3 or later.")
                                        .arg(toQString(version())),
                                    QMessageBox::Ok, this);
        box->setAttribute(Qt::WA_DeleteOnClose);
        box->open();
    });
}

void MainWindow::refreshRecent()
{
    m_recent->clear();
    const QStringList recent = Settings::recentModels();
    for (int i = 0; i < recent.size(); ++i)
        addAction(m_recent, u"&%1  %2"_s.arg(i + 1).arg(shownPath(recent[i]).replace(u'&', u"&&"_s)), {},
                  QKeySequence(u"Ctrl+%1"_s.arg(i + 1)), {}, [this, path = recent[i]] { openPath(path); });
    m_recent->setEnabled(!recent.isEmpty());
}

void MainWindow::refreshActions()
{
    const bool open = m_session.document() != nullptr;
    m_closeModel->setEnabled(open);
    m_calibrate->setEnabled(open);
    m_run->setEnabled(open);
    m_export->setEnabled(open);
    const Job* job = m_session.jobs().running();
    m_cancel->setEnabled(job != nullptr && job->state == JobState::Running);
}

void MainWindow::exportShown()
{
    std::int64_t run = m_session.shownRun() && m_session.shownRun()->summary.state == RunState::Finished
                           ? m_session.shownRun()->summary.id
                           : 0;
    if (run == 0 && m_session.document()) {
        const auto& runs = m_session.runs().runs();
        const std::string model = m_session.document()->path.toStdString();
        const auto found = std::ranges::find_if(runs, [&model](const RunSummary& other) {
            return other.state == RunState::Finished && other.model == model;
        });
        run = found != runs.end() ? found->id : 0;
    }
    if (run != 0)
        exportRun(run);
    else
        statusBar()->showMessage(tr("There is no finished run of this model yet: run its recipe first."), 8000);
}

void MainWindow::exportRun(std::int64_t run)
{
    (new ExportDialog(m_session, run, this))->show();
}

void MainWindow::openFolder()
{
    auto* dialog = new QFileDialog(this, tr("Open a model folder"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::Directory);
    dialog->setOption(QFileDialog::ShowDirsOnly);
    connect(dialog, &QFileDialog::fileSelected, this, &MainWindow::openPath);
    dialog->open();
}

void MainWindow::openFile()
{
    auto* dialog =
        new QFileDialog(this, tr("Open a model file"), {}, tr("Models (*.safetensors *.gguf);;All files (*)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    connect(dialog, &QFileDialog::fileSelected, this, &MainWindow::openPath);
    dialog->open();
}

void MainWindow::setAppearance(int appearance)
{
    Settings::setText(u"window/appearance"_s, QString::number(appearance));
    applyAppearance(*qApp, static_cast<Appearance>(appearance));
}

void MainWindow::showShortcuts()
{
    auto* dialog = new QDialog(this);
    dialog->setObjectName(u"shortcuts"_s);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setWindowTitle(tr("Keyboard shortcuts"));
    auto* table = new QTableWidget(0, 2);
    table->setHorizontalHeaderLabels({tr("Keys"), tr("What they do")});
    table->verticalHeader()->hide();
    table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table->setShowGrid(false);
    table->horizontalHeader()->setStretchLastSection(true);
    const auto row = [table](const QString& keys, const QString& text) {
        const int at = table->rowCount();
        table->insertRow(at);
        table->setItem(at, 0, new QTableWidgetItem(keys));
        table->setItem(at, 1, new QTableWidgetItem(text));
    };
    QStringList seen;
    for (const QAction* action : findChildren<QAction*>()) {
        const QString keys = action->shortcut().toString(QKeySequence::NativeText);
        QString text = action->text();
        text.remove(u'&');
        if (keys.isEmpty() || text.isEmpty() || seen.contains(keys + text))
            continue;
        seen.append(keys + text);
        row(keys, action->statusTip().isEmpty() ? text : text + u": "_s + action->statusTip());
    }
    row(tr("Tab, Shift+Tab"), tr("Go from part to part; in plots to the rank marker"));
    row(tr("Arrows"), tr("Pan a plot, move the rank marker or the cell of the map, change a rank"));
    row(tr("+, -, 0"), tr("Zoom in, zoom out, all"));
    table->resizeColumnsToContents();
    // The last column gets the width that is left: rows are as high as its lines then.
    connect(table->horizontalHeader(), &QHeaderView::sectionResized, table, &QTableView::resizeRowsToContents);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, dialog, &QDialog::reject);
    auto* layout = new QVBoxLayout(dialog);
    layout->addWidget(table);
    layout->addWidget(buttons);
    dialog->resize(620, 560);
    dialog->open();
}

} // namespace rankwright::ui
