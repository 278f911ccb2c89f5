#pragma once

#include "ui/session/session.h"

#include <QMainWindow>

class QAction;
class QLabel;
class QMenu;
class QStackedWidget;
class QTabWidget;

namespace rankwright::ui {

class ErrorMapPanel;
class LogPanel;
class ModelPanel;
class RankPlanPanel;
class RecipePanel;
class RunsPanel;
class SimilarityPanel;
class SpectrumPanel;
class StartPage;
class TrainingPanel;

/// The workbench: start page or model, with docks around the views.
class MainWindow : public QMainWindow
{
    Q_OBJECT

public:
    explicit MainWindow(SessionPlaces places, QWidget* parent = nullptr);
    ~MainWindow() override;

    Session& session() { return m_session; }
    QTabWidget* views() const { return m_views; }
    ModelPanel* modelPanel() const { return m_model; }
    SpectrumPanel* spectrumPanel() const { return m_spectrum; }
    RankPlanPanel* rankPlanPanel() const { return m_plan; }
    ErrorMapPanel* errorMapPanel() const { return m_map; }
    RunsPanel* runsPanel() const { return m_runs; }
    TrainingPanel* trainingPanel() const { return m_training; }
    SimilarityPanel* similarityPanel() const { return m_similarity; }
    RecipePanel* recipePanel() const { return m_recipe; }

    /// A model, a recipe (.json), or a text, which becomes the calibration text.
    void openPath(const QString& path);
    /// Opens the model of the last session, where it is still there.
    void restoreSession();

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;
    void changeEvent(QEvent* event) override;
    void closeEvent(QCloseEvent* event) override;

private:
    void createViews();
    void createDocks();
    void createActions();
    void createHelpMenu();
    void connectSession();
    QAction* addAction(QMenu* menu, const QString& text, const QString& iconName, const QKeySequence& shortcut,
                       const QString& tip, const std::function<void()>& call);
    QDockWidget* addDock(Qt::DockWidgetArea area, const QString& title, const QString& name, QWidget* widget);
    void showWorkspace(bool shown);
    void arrangeDocks();
    void openFolder();
    void openFile();
    void refreshRecent();
    void refreshActions();
    /// Asks how the run shown, or the latest finished one of the open model, is exported.
    void exportShown();
    void exportRun(std::int64_t run);
    void showProblem(const Failure& failure);
    void showShortcuts();
    void setAppearance(int appearance);
    void askAndClose();

    Session m_session;
    QStackedWidget* m_stack;
    StartPage* m_start;
    QTabWidget* m_views;
    ModelPanel* m_model = nullptr;
    SpectrumPanel* m_spectrum = nullptr;
    RankPlanPanel* m_plan = nullptr;
    ErrorMapPanel* m_map = nullptr;
    RunsPanel* m_runs = nullptr;
    TrainingPanel* m_training = nullptr;
    SimilarityPanel* m_similarity = nullptr;
    RecipePanel* m_recipe = nullptr;
    LogPanel* m_log = nullptr;
    QMenu* m_recent = nullptr;
    QMenu* m_viewMenu = nullptr;
    QToolBar* m_toolBar = nullptr;
    QToolBar* m_overview = nullptr;
    QLabel* m_jobLine;
    QAction* m_closeModel = nullptr;
    QAction* m_calibrate = nullptr;
    QAction* m_run = nullptr;
    QAction* m_cancel = nullptr;
    QAction* m_export = nullptr;
    QList<QDockWidget*> m_docks;
    QList<QPair<QDockWidget*, int>> m_dockSizes; ///< of the default layout
    QByteArray m_defaultState;
    bool m_arranged = false;
    bool m_closingAnyway = false;
};

} // namespace rankwright::ui
