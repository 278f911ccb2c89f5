#include "ui/session/forecast_service.h"

#include "core/calibration/statistics.h"
#include "core/experiment/forecast_plan.h"
#include "ui/session/calibration_service.h"
#include "ui/session/text.h"

#include <algorithm>

namespace rankwright::ui {

struct ForecastService::Found
{
    std::vector<Text> texts;
    KnownWindows known;
};

ForecastService::ForecastService(RunStore& runs, QObject* parent)
    : QObject(parent)
    , m_runs(runs)
{
    connect(&m_runs, &RunStore::runsChanged, this, &ForecastService::read);
}

void ForecastService::setDocument(DocumentPtr document)
{
    m_document = std::move(document);
    m_known.clear();
    start();
}

void ForecastService::setRecipe(const Recipe& recipe)
{
    const auto same = [](const EvaluationText& a, const EvaluationText& b) {
        return a.name == b.name && sameWindows(a.windows, b.windows);
    };
    if (recipe.method == m_method && std::ranges::equal(recipe.evaluations, m_evaluations, same))
        return;
    m_method = recipe.method;
    m_evaluations = recipe.evaluations;
    start();
}

void ForecastService::start()
{
    m_texts.clear();
    read();
}

void ForecastService::read()
{
    const std::stop_token stop = m_request.next();
    const std::shared_ptr<Store> store = m_runs.store();
    m_reading = m_document && store && !m_evaluations.empty();
    emit changed();
    if (!m_reading)
        return;
    m_background.run(
        this, stop,
        [document = m_document, evaluations = m_evaluations, method = m_method, store, runs = m_runs.snapshot(),
         known = m_known, stop] { return look(*document, evaluations, method, *store, *runs, known, {.stop = stop}); },
        [this](const Outcome<Found>& outcome) {
            m_reading = false;
            if (outcome) {
                m_texts = outcome->texts;
                m_known = outcome->known;
            } else {
                m_texts.assign(1, {.name = {}, .forecaster = {}, .problem = outcome.failure.message});
            }
            emit changed();
        });
}

ForecastService::Found ForecastService::look(const Document& document, const std::vector<EvaluationText>& evaluations,
                                             const std::string& method, const Store& store,
                                             const std::vector<RunSummary>& runs, KnownWindows known,
                                             const TaskContext& context)
{
    const std::string model = modelFingerprint(document.model);
    const std::vector<ForecastPoint> points = forecastPoints(runs);
    Found found{.texts = {}, .known = std::move(known)};
    const auto windowsOf = [&](const WindowOptions& options) {
        for (const auto& [others, fingerprint] : found.known)
            if (sameWindows(others, options))
                return fingerprint;
        return found.known.emplace_back(options, makeWindows(*document.model.tokenizer(), options, context).fingerprint)
            .second;
    };
    for (const EvaluationText& evaluation : evaluations) {
        const std::string name = evaluationName(evaluation);
        Text text{.name = toQString(name), .forecaster = {}, .problem = {}};
        try {
            if (const auto dense = store.cachedPerplexity(model, windowsOf(evaluation.windows))) {
                text.original = dense->perplexity;
                text.forecaster = std::make_shared<const Forecaster>(points, model, name, method, dense->perplexity,
                                                                     document.model.config().vocabularySize);
            }
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::Cancelled)
                throw;
            text.problem = toQString(error.what());
        }
        found.texts.push_back(std::move(text));
    }
    return found;
}

} // namespace rankwright::ui
