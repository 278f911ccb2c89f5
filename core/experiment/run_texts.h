#pragma once

#include "core/experiment/recipe.h"
#include "core/model/model.h"

#include <vector>

namespace rankwright {

/// The windows of a recipe's texts beside those that it calibrates on, which RunCalibration has.
struct RunTexts
{
    TokenWindows heldOut;
    TokenWindows distillation; ///< empty where nothing is distilled
    TokenWindows recovery;
    std::vector<TokenWindows> evaluations; ///< by Recipe::evaluations
};

/// Throws as makeWindows(), and Error(InvalidArgument) for windows that exceed the model's context or are too few to
/// train on.
RunTexts openTexts(const Recipe& recipe, const Model& model, const TaskContext& context);

/// Throws Error(InvalidArgument) naming the text where windows are longer than the model's context.
void requireContext(const Recipe& recipe, const Model& model);
/// Throws what a run throws for its texts, those of the calibration too, before any work. They are read as far as that
/// needs: to the end of the windows asked for, or where all of a text are to be taken to that of the first.
void requireTexts(Recipe recipe, const Model& model, const TaskContext& context);

} // namespace rankwright
