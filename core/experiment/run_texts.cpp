#include "core/experiment/run_texts.h"

#include "core/base/error.h"
#include "core/calibration/moment_pass.h"
#include "core/experiment/run_calibration.h"
#include "core/training/training_options.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

void requireContext(const Recipe& recipe, const Model& model)
{
    const std::size_t context = model.config().contextLength;
    const auto require = [&](const WindowOptions& windows) {
        if (windows.length > context)
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("windows of {} tokens, but the model's context is {}; take shorter windows",
                                    windows.length, context),
                        {.file = windows.text});
    };
    if (recipe.calibration)
        require(*recipe.calibration);
    for (const WeightedText& text : recipe.moreCalibrations)
        require(text.windows);
    for (const EvaluationText& text : recipe.evaluations)
        require(text.windows);
}

RunTexts openTexts(const Recipe& recipe, const Model& model, const TaskContext& context)
{
    RunTexts texts;
    const auto open = [&](const WindowOptions& text) {
        TokenWindows windows = makeWindows(*model.tokenizer(), text, context);
        requireWindows(model, windows);
        return windows;
    };
    const auto trainOn = [&](const TrainingOptions& training) {
        TokenWindows windows = open(trainingWindows(recipe, training));
        static_cast<void>(WindowSplit(windows.ids.size()));
        return windows;
    };
    if (const auto distillation = distillationOf(recipe))
        texts.distillation = trainOn(distillation->training);
    if (recipe.recovery)
        texts.recovery = trainOn(recipe.recovery->training);
    if (recipe.heldOutWindows > 0) {
        texts.heldOut = windowsAfter(*model.tokenizer(), *recipe.calibration, recipe.heldOutWindows, context);
        requireWindows(model, texts.heldOut);
    }
    for (const EvaluationText& text : recipe.evaluations) {
        context.report("open", evaluationName(text), 0, 0);
        texts.evaluations.push_back(open(text.windows));
    }
    return texts;
}

void requireTexts(Recipe recipe, const Model& model, const TaskContext& context)
{
    requireContext(recipe, model);
    // Whether there are so many windows does not depend on their order.
    const auto shorten = [](WindowOptions& text) {
        text.order = WindowOrder::Consecutive;
        text.count = std::max<std::size_t>(text.count, 1);
    };
    const bool all = recipe.calibration && recipe.calibration->count == 0;
    if (recipe.calibration)
        shorten(*recipe.calibration);
    for (WeightedText& text : recipe.moreCalibrations)
        shorten(text.windows);
    for (EvaluationText& text : recipe.evaluations)
        shorten(text.windows);
    recipe.distillation = distillationOf(recipe);
    const auto shortenTraining = [all](TrainingOptions& training) {
        if (all && training.windows == 0)
            training.windows = 2; // one to train on, one held out
    };
    if (recipe.distillation)
        shortenTraining(recipe.distillation->training);
    if (recipe.recovery)
        shortenTraining(recipe.recovery->training);
    if (recipe.calibration)
        static_cast<void>(RunCalibration(recipe, model, context));
    static_cast<void>(openTexts(recipe, model, context));
}

} // namespace rankwright
