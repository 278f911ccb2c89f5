#include "ui/session/session.h"

#include "core/base/log.h"
#include "core/experiment/places.h"
#include "ui/session/project_file.h"
#include "ui/session/settings.h"
#include "ui/session/text.h"

#include <QFileInfo>

#include <algorithm>

namespace rankwright::ui {

namespace {

constexpr int saveDelayMilliseconds = 1500;

} // namespace

SessionPlaces defaultSessionPlaces()
{
    return {.store = defaultStoreFile(), .run = defaultRunPlaces()};
}

Session::Session(SessionPlaces places, QObject* parent)
    : QObject(parent)
    , m_places(std::move(places))
    , m_runs(m_places.store)
    , m_calibration(m_places.run.cache)
    , m_plan(m_spectra)
    , m_forecasts(m_runs)
    , m_jobs(m_runs, m_places.run)
{
    m_saving.setSingleShot(true);
    m_saving.setInterval(saveDelayMilliseconds);
    connect(&m_saving, &QTimer::timeout, this, &Session::saveProject);
    const auto saveSoon = [this] {
        if (m_document && !m_restoring)
            m_saving.start();
    };

    connect(&m_recipe, &RecipeState::changed, this, [this, saveSoon] {
        updateCalibration();
        updateChosen();
        updateAnalysis();
        m_forecasts.setRecipe(m_recipe.recipe());
        emit recipeChanged();
        saveSoon();
    });
    connect(&m_plan, &RankPlan::changed, this, [this, saveSoon] {
        updateCalibration();
        emit recipeChanged();
        saveSoon();
    });
    connect(&m_plan, &RankPlan::namedChanged, this, saveSoon);
    connect(&m_selection, &Selection::changed, this, saveSoon);
    connect(&m_calibration, &CalibrationService::changed, this, [this] {
        if (m_calibration.set())
            m_spectra.addCalibration(m_calibration.set());
        if (m_calibration.gradients())
            m_spectra.addCalibration(m_calibration.gradients());
        updateAnalysis();
    });
    connect(&m_spectra, &SpectrumService::ready, this,
            [this](const AnalysisKey& key, int linear) { m_health.add(0, m_spectra.find(key, linear)->events); });
    connect(&m_spectra, &SpectrumService::failed, this,
            [this](const AnalysisKey&, int, const Failure& failure) { emit problem(failure); });
    connect(&m_runs, &RunStore::failed, this, &Session::problem);

    connect(&m_jobs, &JobQueue::started, this, [this] { m_spectra.setBusy(true); });
    connect(&m_jobs, &JobQueue::runStarted, this, [this](int id, qint64 run) {
        const Job* job = m_jobs.find(id);
        if (job != nullptr && job->kind == JobKind::Compress && m_document &&
            toQString(job->recipe.model) == m_document->path)
            takeOutcomes(run, {}, true);
    });
    connect(&m_jobs, &JobQueue::linearsDone, this, [this](int id, const std::vector<LinearOutcome>& outcomes) {
        const Job* job = m_jobs.find(id);
        if (job != nullptr && job->run == m_measuredRun)
            takeOutcomes(m_measuredRun, outcomes, false);
    });
    connect(&m_jobs, &JobQueue::trained, this, [this](int id, const std::vector<TrainingPoint>& points) {
        const Job* job = m_jobs.find(id);
        if (job == nullptr || job->run != m_measuredRun)
            return;
        m_training.insert(m_training.end(), points.begin(), points.end());
        emit trainingChanged();
    });
    connect(&m_jobs, &JobQueue::eventsNoted, this, [this](int id, const std::vector<NumericEvent>& events) {
        const Job* job = m_jobs.find(id);
        m_health.add(job != nullptr ? job->run : 0, events);
    });
    connect(&m_jobs, &JobQueue::ended, this, [this](int id) {
        const Job* job = m_jobs.find(id);
        m_spectra.setBusy(m_jobs.running() != nullptr);
        m_calibration.refresh();
        if (job == nullptr)
            return;
        if (job->state == JobState::Failed) {
            emit problem(job->failure);
        } else if (job->state == JobState::Finished) {
            emit notice(job->title + QStringLiteral(": ") + job->result);
            if (job->kind == JobKind::Compress && job->run == m_measuredRun)
                showRun(job->run);
            if (job->similarity && m_document && job->recipe.model == toPath(m_document->path))
                setSimilarity(job->similarity);
        }
    });
}

Session::~Session()
{
    m_jobs.cancelAll();
}

void Session::openModel(const QString& path)
{
    m_opening = true;
    m_recipeToTake.reset();
    emit modelOpening(path);
    m_background.run(
        this, m_openRequest.next(), [path] { return openDocument(path); },
        [this, path](Outcome<DocumentPtr> outcome) {
            m_opening = false;
            if (outcome)
                opened(*outcome);
            else
                emit modelFailed(path, outcome.failure);
        });
}

void Session::setDocument(DocumentPtr document)
{
    m_document = std::move(document);
    m_measured.assign(m_document ? m_document->model.linears().size() : 0, std::nullopt);
    m_measuredRun = 0;
    m_shownRun.reset();
    setTraining({});
    setSimilarity(nullptr);
    m_selection.clear();
    m_spectra.setDocument(m_document);
    m_calibration.setDocument(m_document);
    m_plan.setDocument(m_document);
    m_forecasts.setDocument(m_document);
}

void Session::opened(DocumentPtr document)
{
    if (m_document)
        saveProject();
    m_restoring = true;
    setDocument(std::move(document));
    Settings::addRecentModel(m_document->path);
    restoreProject();
    m_restoring = false;
    if (m_recipeToTake)
        setRecipe(*std::exchange(m_recipeToTake, std::nullopt));
    updateAnalysis();
    emit modelOpened();
    emit measuredChanged();
}

void Session::openWithRecipe(const Recipe& recipe)
{
    openModel(toQString(recipe.model));
    m_recipeToTake = recipe;
}

void Session::closeModel()
{
    saveProject();
    m_openRequest.cancel();
    m_opening = false;
    setDocument(nullptr);
    emit modelClosed();
}

void Session::restoreProject()
{
    Recipe recipe = m_recipe.recipe();
    recipe.ranks.clear();
    recipe.only.clear();
    recipe.out.clear();
    const std::size_t linears = m_document->model.linears().size();
    const Json project = readProject(projectFile(m_places.store.parent_path(), m_document->path));
    try {
        if (project.contains("recipe"))
            recipe = recipeFromJson(project.at("recipe"), {});
        recipe.model = toPath(m_document->path);
        m_recipe.set(recipe);
        updateChosen();
        if (project.contains("plans")) {
            std::map<QString, PlanState> plans;
            for (const auto& [name, plan] : project.at("plans").items())
                plans[toQString(name)] = planFromJson(plan, linears);
            m_plan.setNamed(std::move(plans));
        }
        if (project.contains("plan"))
            m_plan.restore(planFromJson(project.at("plan"), linears), tr("plan"));
        if (project.contains("selection"))
            m_selection.set(project.at("selection").get<std::vector<int>>());
    } catch (const std::exception& exception) {
        logWarning(std::string("what the window kept of this model is left out in part: ") + exception.what());
    }
    recipe = m_recipe.recipe();
    recipe.model = toPath(m_document->path);
    m_recipe.set(recipe);
    m_plan.undoStack().clear();
    const auto known = static_cast<int>(linears);
    if (std::ranges::any_of(m_selection.linears(), [known](int linear) { return linear < 0 || linear >= known; }))
        m_selection.clear();
    if (m_selection.linears().empty() && linears > 0)
        m_selection.set({0});
}

void Session::saveProject()
{
    m_saving.stop();
    if (!m_document)
        return;
    Json plans = Json::object();
    for (const auto& [name, plan] : m_plan.named())
        plans[name.toStdString()] = planToJson(plan);
    Json project = {{"model", m_document->path.toStdString()},
                    {"recipe", recipeToJson(m_recipe.recipe())},
                    {"plan", planToJson(m_plan.state())},
                    {"plans", std::move(plans)},
                    {"selection", m_selection.linears()}};
    m_keeping.run(
        this, {},
        [file = projectFile(m_places.store.parent_path(), m_document->path), project = std::move(project)] {
            writeProject(file, project);
            return true;
        },
        [this](const Outcome<bool>& outcome) {
            if (!outcome)
                emit problem(outcome.failure);
        });
}

Recipe Session::recipe() const
{
    Recipe recipe = m_recipe.recipe();
    if (m_document)
        recipe.model = toPath(m_document->path);
    m_plan.apply(recipe);
    return recipe;
}

void Session::setRecipe(const Recipe& recipe)
{
    Recipe own = recipe;
    if (m_document)
        own.model = toPath(m_document->path);
    own.ranks.clear();
    m_recipe.set(own);
    const std::size_t left = m_plan.take(recipe);
    if (m_document && left > 0)
        emit problem(
            {.kind = ErrorKind::Mismatch,
             .message = tr("%1 of the recipe's %2 ranks are of linears that %3 does not have, and are left out; "
                           "the recipe was made for %4")
                            .arg(left)
                            .arg(recipe.ranks.size())
                            .arg(m_document->name, toQString(recipe.model)),
             .file = {},
             .tensor = {}});
}

AnalysisKey Session::analysisOf(const std::string& method, const MethodParameters& parameters) const
{
    const auto set = m_calibration.set();
    const auto gradients = m_calibration.gradients();
    if (findMethod(method).needsWeightMoments() && !(gradients && gradients->summaries().front().weightMoments))
        return {};
    if (set && gradients)
        return {method, parameters, set->fingerprint(), gradients->fingerprint()};
    if (findMethod(method).needsGradients())
        return {};
    if (!needsStatistics(findMethod(method), parameters))
        return {method, parameters, {}, {}};
    return set ? AnalysisKey{method, parameters, set->fingerprint(), {}} : AnalysisKey{};
}

bool Session::plansWithMethod() const
{
    return m_plan.analysis().method == findMethod(m_recipe.recipe().method).name();
}

bool Session::wantsGradients() const
{
    // Ranks set by hand take the allocator from recipe(), not from the plan.
    return takesGradients(m_recipe.recipe()) || findAllocator(m_plan.state().allocator).needsGradients;
}

void Session::updateCalibration()
{
    m_calibration.setRecipe(m_recipe.recipe(), wantsGradients());
}

void Session::updateAnalysis()
{
    if (!m_document || m_restoring)
        return;
    m_plan.setMethod(m_recipe.recipe().method, m_recipe.recipe().parameters);
    m_plan.setAnalysis(analysisOf(m_recipe.recipe().method, m_recipe.recipe().parameters));
    requestPlanLosses();
}

void Session::updateChosen()
{
    if (!m_document)
        return;
    std::vector<bool> chosen;
    for (const LinearInfo& linear : m_document->model.linears())
        chosen.push_back(recipeSelects(m_recipe.recipe(), linear));
    m_plan.setChosen(chosen);
}

void Session::requestPlanLosses()
{
    if (!m_document)
        return;
    std::vector<int> all(m_document->model.linears().size());
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<int>(i);
    m_spectra.cancelWaiting();
    if (!m_selection.linears().empty())
        m_spectra.request(m_plan.analysis(), m_selection.linears(), SpectrumService::Urgency::Now);
    m_spectra.request(m_plan.analysis(), all, SpectrumService::Urgency::Later);
}

const LinearOutcome* Session::measured(int linear) const
{
    const auto i = static_cast<std::size_t>(linear);
    return i < m_measured.size() && m_measured[i] ? &*m_measured[i] : nullptr;
}

void Session::takeOutcomes(std::int64_t run, const std::vector<LinearOutcome>& outcomes, bool fresh)
{
    if (fresh) {
        m_showingTraining.cancel();
        if (run != m_measuredRun)
            setTraining({});
    }
    m_measuredRun = run;
    if (!m_document)
        return;
    const auto& linears = m_document->model.linears();
    if (fresh) {
        m_showing.cancel();
        m_shownRun.reset();
        m_measured.assign(linears.size(), std::nullopt);
    }
    QHash<QString, std::size_t> positions;
    if (outcomes.size() > 4)
        for (const LinearInfo& linear : linears)
            positions.insert(toQString(linear.name), linear.index);
    for (const LinearOutcome& outcome : outcomes) {
        if (positions.isEmpty()) {
            const auto found = std::ranges::find(linears, outcome.name, &LinearInfo::name);
            if (found != linears.end())
                m_measured[found->index] = outcome;
        } else if (const auto found = positions.constFind(toQString(outcome.name)); found != positions.constEnd()) {
            m_measured[*found] = outcome;
        }
    }
    emit measuredChanged();
}

void Session::setTraining(std::vector<TrainingPoint> points)
{
    if (points.empty() && m_training.empty())
        return;
    m_training = std::move(points);
    emit trainingChanged();
}

void Session::setSimilarity(std::shared_ptr<const SimilarityStudy> study)
{
    if (!study && !m_similarity)
        return;
    m_similarity = std::move(study);
    emit similarityChanged();
}

void Session::showRun(std::int64_t run)
{
    if (run == 0) {
        m_showing.cancel();
        m_showingTraining.cancel();
        m_shownRun.reset();
        m_measuredRun = 0;
        std::ranges::fill(m_measured, std::nullopt);
        setTraining({});
        emit measuredChanged();
        return;
    }
    m_runs.fetch(run, this, m_showing.next(), [this, run](Outcome<RunRecord> outcome) {
        if (!outcome) {
            emit problem(outcome.failure);
            return;
        }
        takeOutcomes(run, outcome->result.linears, true);
        m_health.add(run, outcome->result.events);
        m_shownRun = std::move(*outcome);
        m_runs.fetchTraining(run, this, m_showingTraining.next(), [this](Outcome<std::vector<TrainingPoint>> points) {
            if (points)
                setTraining(std::move(*points));
            else
                emit problem(points.failure);
        });
        emit measuredChanged();
    });
}

} // namespace rankwright::ui
