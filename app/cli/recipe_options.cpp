#include "app/cli/recipe_options.h"

#include "app/cli/output.h"
#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <fmt/ranges.h>
#include <set>

namespace rankwright::cli {

namespace {

Recipe readRecipe(const RecipeChoice& choice)
{
    if (choice.recipeFile.empty()) {
        if (choice.model.empty())
            throw CLI::RequiredError("MODEL");
        if (!choice.method)
            throw CLI::RequiredError("--method");
        if (!choice.keep)
            throw CLI::RequiredError("--keep");
        return {};
    }
    Json json = readJson(choice.recipeFile);
    if (json.is_object() && !choice.model.empty())
        json["model"] = absolutePath(choice.model).string();
    try {
        return recipeFromJson(json, absolutePath(choice.recipeFile).parent_path());
    } catch (const Error& error) {
        throw Error(error.kind(), error.what(), {.file = choice.recipeFile});
    }
}

/// What the rules refuse in a recipe; empty where they do not.
std::string refusal(const Recipe& recipe)
{
    try {
        validateRecipe(recipe);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

/// `recipe` is `read` with the changes that options ask for. The error names the recipe file only where the file has
/// the fault without them.
void checkRecipe(const Recipe& recipe, const Recipe& read, const RecipeChoice& choice)
{
    try {
        validateRecipe(recipe);
    } catch (const Error& error) {
        if (choice.recipeFile.empty() || refusal(read) != error.what())
            throw;
        throw Error(error.kind(), error.what(), {.file = choice.recipeFile});
    }
}

/// Throws CLI::ValidationError for the second value of one name: only the last would count.
void requireFirst(std::set<std::string>& seen, const char* option, const std::string& name)
{
    if (!seen.insert(name).second)
        throw CLI::ValidationError(option, fmt::format("'{}' is given twice", name));
}

/// target = convert(text) where the option was given; errors name the option.
template <typename Target, typename Convert>
void change(Target& target, const std::optional<std::string>& text, const char* option, const Convert& convert)
{
    if (text)
        readOption(option, [&] { target = convert(*text); });
}

void changeEvaluations(Recipe& recipe, const RecipeChoice& choice)
{
    if (!choice.evaluateTexts.empty()) {
        recipe.evaluations.clear();
        std::set<std::filesystem::path> names;
        for (const std::string& text : choice.evaluateTexts) {
            EvaluationText& evaluation = recipe.evaluations.emplace_back();
            evaluation.windows.text = text;
            // Two files of one name are told apart by their paths.
            if (!names.insert(evaluation.windows.text.filename()).second)
                evaluation.name = text;
        }
        if (!choice.evaluation.length)
            throw CLI::RequiredError("--evaluate-window");
    }
    if (choice.evaluation.given() && recipe.evaluations.empty())
        throw CLI::RequiredError("--evaluate-text");
    for (EvaluationText& evaluation : recipe.evaluations)
        choice.evaluation.apply(evaluation.windows);
}

void changeCalibration(Recipe& recipe, const WindowChoice& choice)
{
    if (!choice.given())
        return;
    if (!recipe.calibration)
        requireTextAndWindow(choice, "--calibration-");
    if (!recipe.calibration)
        recipe.calibration.emplace();
    readOption("--calibration-order", [&] { choice.apply(*recipe.calibration); });
    requireOrderOfSeed(choice, recipe.calibration->order, "--calibration-");
}

void addTrainingOptions(CLI::App& command, const std::string& prefix, const std::string& kinds,
                        const std::string& description, TrainingChoice& choice)
{
    command.add_option(prefix, choice.kind, description)->type_name(kinds)->group("Training");
    const auto count = [&](const char* name, std::optional<std::size_t>& target, const char* what) {
        addCount(command, prefix + name, target, what)->type_name("N")->group("Training");
    };
    count("-windows", choice.windows, "Windows of the calibration text (default: those of the calibration)");
    count("-epochs", choice.epochs, "Passes over them (default: 1)");
    count("-batch", choice.batch, "Windows per step (default: 8)");
    command
        .add_option_function<std::string>(
            prefix + "-learning-rate",
            [&choice, prefix](const std::string& text) {
                choice.learningRate = parseNumber(prefix + "-learning-rate", text);
            },
            "Highest learning rate of AdamW (default: 0.00001)")
        ->type_name("X")
        ->group("Training");
}

void changeTraining(Recipe& recipe, const RecipeChoice& choice)
{
    if (choice.distillation.kind && !recipe.distillation)
        recipe.distillation.emplace();
    if (!recipe.distillation && choice.distillation.given())
        recipe.distillation = distillationOf(recipe);
    if (recipe.distillation) {
        change(recipe.distillation->inputs, choice.distillation.kind, "--distill", distillationInputsFromName);
        choice.distillation.apply(recipe.distillation->training);
    } else if (choice.distillation.given()) {
        throw CLI::RequiredError("--distill");
    }
    if (choice.recovery.kind && !recipe.recovery)
        recipe.recovery.emplace();
    if (recipe.recovery) {
        change(recipe.recovery->target, choice.recovery.kind, "--recover", recoveryTargetFromName);
        choice.recovery.apply(recipe.recovery->training);
    } else if (choice.recovery.given()) {
        throw CLI::RequiredError("--recover");
    }
}

/// Windows as those of the calibration text.
void changeMoreCalibrations(Recipe& recipe, const std::vector<std::string>& texts)
{
    if (texts.empty())
        return;
    if (!recipe.calibration)
        throw CLI::RequiredError("--calibration-text");
    recipe.moreCalibrations.clear();
    for (const std::string& each : texts) {
        const auto [text, weight] = splitAssignment("--more-calibration", each);
        WeightedText& more = recipe.moreCalibrations.emplace_back(WeightedText{.windows = *recipe.calibration});
        more.windows.text = text;
        more.weight = parseNumber("--more-calibration", weight);
    }
}

void makeAbsolute(Recipe& recipe)
{
    recipe.model = absolutePath(recipe.model);
    recipe.out = absolutePath(recipe.out);
    if (recipe.calibration)
        recipe.calibration->text = absolutePath(recipe.calibration->text);
    for (WeightedText& text : recipe.moreCalibrations)
        text.windows.text = absolutePath(text.windows.text);
    for (EvaluationText& evaluation : recipe.evaluations)
        evaluation.windows.text = absolutePath(evaluation.windows.text);
}

} // namespace

void TrainingChoice::apply(TrainingOptions& training) const
{
    training.windows = windows.value_or(training.windows);
    training.epochs = epochs.value_or(training.epochs);
    training.batch = batch.value_or(training.batch);
    training.learningRate = learningRate.value_or(training.learningRate);
}

void addRecipeOptions(CLI::App& command, RecipeChoice& choice)
{
    addModel(command, choice.model)->required(false);
    const auto option = [&command](const std::string& name, auto& target, const std::string& type,
                                   const std::string& description) {
        return command.add_option(name, target, description)->type_name(type)->group("Options");
    };
    const auto repeated = [&option](const std::string& name, std::vector<std::string>& target, const std::string& type,
                                    const std::string& description) {
        option(name, target, type, description + "; may be repeated")->allow_extra_args(false);
    };
    option("--method", choice.method, "METHOD", "How linears are decomposed");
    repeated("--parameter", choice.parameters, "NAME=VALUE", "Parameter of the method");
    command
        .add_option_function<std::string>(
            "--keep", [&choice](const std::string& text) { choice.keep = parseNumber("--keep", text); },
            "Share of the linears' parameters to keep, above 0 and at most 1")
        ->type_name("RATIO")
        ->group("Options");
    option("--allocation", choice.allocation, "ALLOCATION",
           "How ranks are shared out (default: uniform, the same share for every linear); the manual page says how");
    std::array<std::string_view, recipeStructures.size()> structures;
    std::ranges::transform(recipeStructures, structures.begin(), structureName);
    option("--structure", choice.structure, fmt::format("{}", fmt::join(structures, "|")),
           "Factors B A (default), or with an identity inside A, which buys a higher rank");
    option("--sequential", choice.sequential, "dense|compressed|anchored|update|alternate",
           "Statistics of the dense model (default), of the compressed blocks before, both, or dense ones with factors "
           "fitted again to the compressed blocks before");
    option("--storage", choice.storage, "F32|F16|BF16", "Rounding of the factors (default: F32)");
    repeated("--rank", choice.ranks, "LINEAR=RANK", "Rank of one linear, set by hand");
    repeated("--only", choice.only, "PATTERN", "Only these linears: names with * and ?, or roles such as q or down");
    addCount(command, "--held-out-windows", choice.heldOut,
             "Windows after those of the calibration for the output error of every linear")
        ->type_name("N")
        ->group("Options");
    option("--name", choice.name, "NAME", "Name of the run");
    option("--recipe", choice.recipeFile, "FILE", "Recipe (JSON); options beside it replace what it says");
    addCalibrationOptions(command, choice.calibration);
    command
        .add_option(
            "--more-calibration", choice.moreCalibrations,
            "Further text with such windows, mixed in by weight (the calibration text counts 1); may be repeated")
        ->type_name("FILE=WEIGHT")
        ->allow_extra_args(false)
        ->group("Calibration");
    addGradientOptions(command, choice.gradients,
                       "that methods with losses in nats, such as curvature-svd, allocation curvature and --forecast "
                       "need");
    command
        .add_flag("--forecast", choice.forecast,
                  "Take gradients with any method: the run then says what it costs in nats and calibrates forecasts of "
                  "perplexity")
        ->group("Calibration");
    addTrainingOptions(command, "--distill", "teacher|student|joint",
                       "Train the factors of every block to give the original block's outputs, on the original's "
                       "inputs, the compressed model's, or both",
                       choice.distillation);
    addTrainingOptions(command, "--recover", "text|teacher",
                       "Then fine-tune all factors on the next tokens of the text, or on the original's predictions",
                       choice.recovery);
    const auto evaluation = [](CLI::Option* added) { added->group("Evaluation"); };
    evaluation(command
                   .add_option("--evaluate-text", choice.evaluateTexts,
                               "UTF-8 text to score original and compressed model on; may be repeated")
                   ->type_name("FILE")
                   ->allow_extra_args(false));
    evaluation(command.add_flag("--evaluate-rows", choice.evaluation.rows, "Lines of these texts are data-set rows"));
    evaluation(addCount(command, "--evaluate-window", choice.evaluation.length, "Tokens per window")->type_name("L"));
    evaluation(addCount(command, "--evaluate-windows", choice.evaluation.count,
                        "Number of windows (default: all whole ones of the text)")
                   ->type_name("N"));
    const auto exported = [](CLI::Option* added) { added->group("Export"); };
    exported(command.add_option("--out", choice.out, "New folder for the compressed model (default: no export)")
                 ->type_name("DIR"));
    exported(
        command
            .add_option("--format", choice.format,
                        "Factors and a modeling file (default), or products in the stock layout, which save nothing")
            ->type_name("factored|dense"));
    exported(command.add_option("--dtype", choice.dtype, "Type of all exported weights (default: F32)")
                 ->type_name("F32|F16|BF16"));
    addPassOptions(command, choice.pass);
}

Recipe makeRecipe(const RecipeChoice& choice)
{
    const Recipe read = readRecipe(choice);
    Recipe recipe = read;
    if (!choice.model.empty())
        recipe.model = choice.model;
    const auto asIs = [](const std::string& text) { return text; };
    change(recipe.name, choice.name, "--name", asIs);
    change(recipe.method, choice.method, "--method",
           [](const std::string& name) { return std::string(findMethod(name).name()); });
    std::set<std::string> parameters;
    for (const std::string& text : choice.parameters) {
        const auto given = splitAssignment("--parameter", text);
        requireFirst(parameters, "--parameter", given.first);
        std::erase_if(recipe.parameters, [&](const auto& parameter) { return parameter.first == given.first; });
        readOption("--parameter", [&] {
            recipe.parameters.emplace_back(given.first,
                                           parameterFromText(findMethod(recipe.method), given.first, given.second));
        });
    }
    recipe.keptRatio = choice.keep.value_or(recipe.keptRatio);
    change(recipe.allocation, choice.allocation, "--allocation", asIs);
    change(recipe.structure, choice.structure, "--structure", recipeStructureFromName);
    change(recipe.sequential, choice.sequential, "--sequential", sequentialModeFromName);
    change(recipe.storage, choice.storage, "--storage", weightTypeFromName);
    std::set<std::string> ranks;
    for (const std::string& text : choice.ranks) {
        const auto [linear, rank] = splitAssignment("--rank", text);
        requireFirst(ranks, "--rank", linear);
        recipe.ranks[linear] = parseCount("--rank", rank);
    }
    if (!choice.only.empty())
        recipe.only = choice.only;
    changeCalibration(recipe, choice.calibration);
    changeMoreCalibrations(recipe, choice.moreCalibrations);
    choice.gradients.apply(recipe.curvature);
    recipe.forecast = recipe.forecast || choice.forecast;
    changeTraining(recipe, choice);
    changeEvaluations(recipe, choice);
    recipe.heldOutWindows = choice.heldOut.value_or(recipe.heldOutWindows);
    recipe.device = choice.pass.device.value_or(recipe.device);
    recipe.threads = choice.pass.threads.value_or(recipe.threads);
    recipe.memoryLimit = choice.pass.memoryLimit.value_or(recipe.memoryLimit);
    change(recipe.out, choice.out, "--out", asIs);
    change(recipe.exportFormat, choice.format, "--format", asIs);
    change(recipe.exportDType, choice.dtype, "--dtype", weightTypeFromName);
    makeAbsolute(recipe);
    checkRecipe(recipe, read, choice);
    if (recipe.out.empty() && (choice.format || choice.dtype))
        throw CLI::RequiresError(choice.format ? "--format" : "--dtype", "--out");
    return recipe;
}

} // namespace rankwright::cli
