#pragma once

#include "core/experiment/runner.h"
#include "ui/session/calibration_service.h"
#include "ui/session/document.h"
#include "ui/session/forecast_service.h"
#include "ui/session/health_log.h"
#include "ui/session/job_queue.h"
#include "ui/session/rank_plan.h"
#include "ui/session/recipe_state.h"
#include "ui/session/run_store.h"
#include "ui/session/selection.h"
#include "ui/session/spectrum_service.h"

#include <QHash>
#include <QObject>
#include <QTimer>

#include <filesystem>
#include <memory>
#include <optional>

namespace rankwright::ui {

/// Where the window keeps what.
struct SessionPlaces
{
    std::filesystem::path store; ///< SQLite file; projects lie in its folder
    RunPlaces run;
};

/// The places that the command line uses too.
SessionPlaces defaultSessionPlaces();

/// The window's one door to the engine: the open model, what is selected, the plan, the recipe, jobs and runs. All of
/// it lives on the window's thread; work of the engine happens on threads of the services.
class Session : public QObject
{
    Q_OBJECT

public:
    explicit Session(SessionPlaces places, QObject* parent = nullptr);
    ~Session() override;

    const SessionPlaces& places() const { return m_places; }

    /// Opens in the background; modelOpened() or modelFailed() follows. The latest call wins.
    void openModel(const QString& path);
    /// Opens the recipe's model and takes the recipe for it.
    void openWithRecipe(const Recipe& recipe);
    void closeModel();
    /// Null where none is open.
    DocumentPtr document() const { return m_document; }
    bool opening() const { return m_opening; }

    Selection& selection() { return m_selection; }
    SpectrumService& spectra() { return m_spectra; }
    CalibrationService& calibration() { return m_calibration; }
    RankPlan& plan() { return m_plan; }
    RecipeState& recipeState() { return m_recipe; }
    RunStore& runs() { return m_runs; }
    JobQueue& jobs() { return m_jobs; }
    HealthLog& health() { return m_health; }
    ForecastService& forecasts() { return m_forecasts; }

    /// Everything put together, as it would run now.
    Recipe recipe() const;
    /// Takes a recipe for the open model.
    void setRecipe(const Recipe& recipe);
    /// The analysis of a method on the statistics there are; plain SVD's where they are missing.
    AnalysisKey analysisOf(const std::string& method, const MethodParameters& parameters) const;
    /// Whether statistics of gradients belong to the recipe: it takes them, or the plan's allocator needs them.
    bool wantsGradients() const;
    /// Whether the losses shown are those of the recipe's method, or plain SVD's as there are no statistics yet.
    bool plansWithMethod() const;
    /// Wants the losses of all linears that the plan needs.
    void requestPlanLosses();

    /// Measured outcomes of the run that is shown beside the plan: the one going on, else the one chosen.
    const LinearOutcome* measured(int linear) const;
    std::int64_t measuredRun() const { return m_measuredRun; }
    /// Loss curves of the same run, in the order they were recorded; empty where it trains nothing.
    const std::vector<TrainingPoint>& trainingPoints() const { return m_training; }
    /// Shows the outcomes of a stored run; 0 for none.
    void showRun(std::int64_t run);
    const std::optional<RunRecord>& shownRun() const { return m_shownRun; }

    /// The latest comparison of texts on the open model; null before one.
    const std::shared_ptr<const SimilarityStudy>& similarity() const { return m_similarity; }

    /// Jobs of the present recipe. What is wrong with it is returned as a sentence, and nothing is started.
    QString startRun();
    QString startCalibration();
    /// Measures what forecasts start from: the model as it is, on the evaluation texts.
    QString startMeasuring();
    /// Compares the calibration text with others; similarityChanged() follows.
    QString startComparison(const std::vector<std::filesystem::path>& texts, std::size_t directions);
    /// Continues a run that was cut off, cancelled or failed.
    void resumeRun(std::int64_t run);

    /// Writes plans, recipe and selection of the open model.
    void saveProject();

signals:
    void modelOpening(const QString& path);
    void modelOpened();
    void modelClosed();
    void modelFailed(const QString& path, const rankwright::ui::Failure& failure);
    void recipeChanged(); ///< recipe() differs
    void measuredChanged();
    void trainingChanged();
    void similarityChanged();
    /// Something to tell, without a dialog.
    void notice(const QString& text);
    void problem(const rankwright::ui::Failure& failure);

private:
    void setDocument(DocumentPtr document);
    void opened(DocumentPtr document);
    void restoreProject();
    void updateCalibration();
    void updateAnalysis();
    void updateChosen();
    void setSimilarity(std::shared_ptr<const SimilarityStudy> study);
    void setTraining(std::vector<TrainingPoint> points);
    void takeOutcomes(std::int64_t run, const std::vector<LinearOutcome>& outcomes, bool fresh);
    QString problemWith(const Recipe& recipe) const;

    SessionPlaces m_places;
    DocumentPtr m_document;
    bool m_opening = false;
    bool m_restoring = false;
    Selection m_selection;
    RecipeState m_recipe;
    HealthLog m_health;
    RunStore m_runs;
    SpectrumService m_spectra;
    CalibrationService m_calibration;
    RankPlan m_plan;
    ForecastService m_forecasts;
    JobQueue m_jobs;
    std::vector<std::optional<LinearOutcome>> m_measured; ///< by position in Model::linears()
    std::int64_t m_measuredRun = 0;
    std::vector<TrainingPoint> m_training;
    std::optional<RunRecord> m_shownRun;
    std::shared_ptr<const SimilarityStudy> m_similarity;
    LatestRequest m_showing;
    LatestRequest m_showingTraining;
    LatestRequest m_openRequest;
    std::optional<Recipe> m_recipeToTake; ///< once its model is open
    QTimer m_saving;
    Background m_background{1};
    Background m_keeping{1, Background::AtEnd::FinishWaiting}; ///< writes projects, the last ones at the very end
};

} // namespace rankwright::ui
