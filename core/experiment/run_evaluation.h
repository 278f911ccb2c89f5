#pragma once

#include "core/experiment/run_job.h"
#include "core/experiment/run_texts.h"
#include "core/experiment/store.h"

namespace rankwright {

/// Throws Error(Memory) where the limit of `options` holds no evaluation of the model on these texts.
void requireEvaluationMemory(const Model& model, const RunTexts& texts, const PassOptions& options);

/// The stage of a run that measures what it made: perplexities of the original and the compressed model on the texts of
/// the recipe, with the forecast where `result` has nats; those of `untrained` after them, told apart by name, where
/// factors were trained; errors of linears on held-out windows, see withValueBias() for `moments`. Adds them to
/// `result` and the store, and tells the observer. Throws as evaluatePerplexity() and evaluateLinearErrors().
void evaluateRun(const RunJob& job, Store& store, const RunTexts& texts, const PassOptions& options,
                 const Model& compressed, const Model* untrained, const CalibrationSet* moments, RunResult& result);

} // namespace rankwright
