#pragma once

#include "app/cli/options.h"
#include "core/experiment/recipe.h"

namespace rankwright::cli {

/// How factors are trained.
struct TrainingChoice
{
    std::optional<std::string> kind; ///< inputs or target
    std::optional<std::size_t> windows, epochs, batch;
    std::optional<double> learningRate;

    bool given() const { return windows || epochs || batch || learningRate; }
    void apply(TrainingOptions& training) const;
};

/// The options of `compress`: a recipe from nothing, or changes to that of --recipe.
struct RecipeChoice
{
    std::string model;
    std::string recipeFile;
    std::optional<std::string> name, method, allocation, structure, sequential, storage, out, format, dtype;
    std::vector<std::string> parameters, ranks, only, evaluateTexts, moreCalibrations;
    std::optional<double> keep;
    bool forecast = false;
    std::optional<std::size_t> heldOut;
    GradientChoice gradients;
    TrainingChoice distillation;
    TrainingChoice recovery;
    WindowChoice calibration;
    WindowChoice evaluation; ///< of all evaluateTexts
    PassChoice pass;
};

void addRecipeOptions(CLI::App& command, RecipeChoice& choice);

/// The recipe with absolute paths, checked as far as that goes without opening the model. Throws CLI::ParseError or
/// Error(InvalidArgument) for a wrong call; Error of another kind where the recipe file cannot be read.
Recipe makeRecipe(const RecipeChoice& choice);

} // namespace rankwright::cli
