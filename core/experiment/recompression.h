#pragma once

#include "core/base/progress.h"
#include "core/experiment/recipe.h"
#include "core/model/model.h"

#include <optional>
#include <span>
#include <vector>

namespace rankwright {

/// The event "storesMore" (value: the ratio) where a model with `parameters` in all takes the place of one whose
/// chosen `linears` are in factors already, and has more: kept ratios are of dense linears. None elsewhere.
std::optional<NumericEvent> growthNote(const Model& model, std::span<const LinearInfo* const> linears,
                                       std::size_t parameters);
/// What of a run can be noted before it: growthNote() at the ranks of firstPlan(), which are those of the run where
/// shapes decide them; the message says where they are others. Throws as requirePossible().
std::vector<NumericEvent> plannedEvents(const Recipe& recipe, const Model& model);

} // namespace rankwright
