#pragma once

#include "core/experiment/store.h"

#include <span>
#include <string>
#include <vector>

namespace rankwright {

/// A value of the recipes that is not the same in all of them.
struct RecipeDifference
{
    std::string key;          ///< path of the value: "calibration.seed"
    std::vector<Json> values; ///< one per recipe, null where it has none
};
/// In the order of the first recipe, then keys that only later ones have.
std::vector<RecipeDifference> recipeDifferences(std::span<const Json* const> recipes);

/// What several runs have of one linear or text.
template <typename Outcome>
struct ComparedOutcomes
{
    std::string name;
    std::vector<const Outcome*> of; ///< one per run, null where it has none
};
using ComparedLinear = ComparedOutcomes<LinearOutcome>;
using ComparedEvaluation = ComparedOutcomes<EvaluationOutcome>;

/// In the order of the first run, then what only later ones have. The runs must outlive the result.
std::vector<ComparedLinear> comparedLinears(std::span<const RunRecord* const> runs);
std::vector<ComparedEvaluation> comparedEvaluations(std::span<const RunRecord* const> runs);

/// Whether the perplexities are of the same tokens of the same model; false where a run has none.
bool sameWindows(const ComparedEvaluation& evaluation);
/// Whether rank, structure or measured loss is not the same in all runs, or one has no such linear.
bool differs(const ComparedLinear& linear);
/// Whether the runs compress the same weights.
bool sameModel(std::span<const RunRecord* const> runs);

} // namespace rankwright
