#include "core/experiment/run_evaluation.h"

#include "core/evaluation/evaluation_memory.h"
#include "core/experiment/forecast_plan.h"
#include "core/experiment/runner.h"
#include "core/experiment/value_bias.h"

#include <algorithm>
#include <cmath>

namespace rankwright {

namespace {

class RunEvaluation
{
public:
    RunEvaluation(const RunJob& job, Store& store, const RunTexts& texts, const PassOptions& options, RunResult& result)
        : m_job(job)
        , m_store(store)
        , m_texts(texts)
        , m_options(options)
        , m_result(result)
    {}

    void onTexts(const Model& compressed, const Model* untrained)
    {
        const bool forecasts = std::isfinite(m_result.predictedNats);
        const std::vector<ForecastPoint> measured = forecasts ? forecastPoints(m_store) : std::vector<ForecastPoint>();
        std::vector<EvaluationOutcome> outcomes;
        for (std::size_t i = 0; i < m_texts.evaluations.size(); ++i) {
            m_job.context.checkStop();
            const TokenWindows& windows = m_texts.evaluations[i];
            EvaluationOutcome& outcome = outcomes.emplace_back();
            outcome.name = evaluationName(m_job.recipe.evaluations[i]);
            outcome.windows = m_job.recipe.evaluations[i].windows;
            m_job.context.report("evaluate", outcome.name, i, m_texts.evaluations.size());
            outcome.original = densePerplexity(m_job.model, m_job.device, windows, m_store, m_result.modelFingerprint,
                                               m_options, m_job.context);
            if (forecasts)
                outcome.forecast =
                    Forecaster(measured, m_result.modelFingerprint, outcome.name, std::string(m_job.method.name()),
                               outcome.original.perplexity, m_result.vocabulary)
                        .at(m_result.predictedNats);
            outcome.compressed = evaluatePerplexity(compressed, m_job.device, windows, m_options, m_job.context);
            record(outcome);
        }
        if (untrained == nullptr)
            return;
        // What training gives is told apart from what the method gives without.
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            m_job.context.checkStop();
            outcomes[i].name += ", before training";
            outcomes[i].compressed =
                evaluatePerplexity(*untrained, m_job.device, m_texts.evaluations[i], m_options, m_job.context);
            record(outcomes[i]);
        }
    }

    void onHeldOutWindows(const CalibrationSet* moments)
    {
        const Model compressed =
            m_job.model.withLinears(withValueBias(m_job, moments, runLinears(m_result.folder, m_result.fingerprint)));
        const std::size_t texts = m_texts.evaluations.size();
        m_job.context.report("evaluate", "held-out windows", texts, texts);
        for (const LinearErrorResult& error :
             evaluateLinearErrors(m_job.model, compressed, m_job.device, m_texts.heldOut, m_options, m_job.context)) {
            const auto found = std::ranges::find(m_result.linears, error.name, &LinearOutcome::name);
            if (found != m_result.linears.end())
                found->heldOutError = error.relativeError;
        }
    }

private:
    void record(const EvaluationOutcome& outcome)
    {
        m_store.recordEvaluation(m_result.id, outcome);
        if (m_job.observer.evaluated)
            m_job.observer.evaluated(outcome);
        m_result.evaluations.push_back(outcome);
    }

    const RunJob& m_job;
    Store& m_store;
    const RunTexts& m_texts;
    const PassOptions& m_options;
    RunResult& m_result;
};

} // namespace

void requireEvaluationMemory(const Model& model, const RunTexts& texts, const PassOptions& options)
{
    const auto require = [&](std::size_t length, const EvaluationMemory& memory) {
        static_cast<void>(fittingThreads(model, memory, length, options));
    };
    for (const TokenWindows& windows : texts.evaluations) {
        const std::size_t length = windows.ids.front().size();
        require(length, perplexityMemory(model, length, effectiveMemoryLimit(options)));
    }
    if (!texts.heldOut.ids.empty()) {
        const std::size_t length = texts.heldOut.ids.front().size();
        require(length, linearErrorMemory(model, length));
    }
}

void evaluateRun(const RunJob& job, Store& store, const RunTexts& texts, const PassOptions& options,
                 const Model& compressed, const Model* untrained, const CalibrationSet* moments, RunResult& result)
{
    RunEvaluation evaluation(job, store, texts, options, result);
    evaluation.onTexts(compressed, untrained);
    if (!texts.heldOut.ids.empty())
        evaluation.onHeldOutWindows(moments);
}

PerplexityResult densePerplexity(const Model& model, const Device& device, const TokenWindows& windows, Store& store,
                                 const std::string& modelFingerprint, const PassOptions& options,
                                 const TaskContext& context)
{
    if (const auto known = store.cachedPerplexity(modelFingerprint, windows.fingerprint))
        return *known;
    PerplexityResult result = evaluatePerplexity(model, device, windows, options, context);
    store.cachePerplexity(modelFingerprint, windows.fingerprint, result);
    return result;
}

} // namespace rankwright
