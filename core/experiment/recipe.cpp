#include "core/experiment/recipe.h"

#include "core/allocation/allocation.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/nearest_name.h"
#include "core/base/version.h"
#include "core/export/export.h"
#include "core/model/forward.h"
#include "core/tokenizer/text_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <fmt/format.h>
#include <set>

namespace rankwright {

namespace {

[[noreturn]] void refuse(const std::string& message)
{
    throw Error(ErrorKind::InvalidArgument, message);
}

/// `more` windows are taken beside those of `windows`.
void validateLimits(const WindowOptions& windows, const std::string& what, std::size_t more = 0)
{
    if (windows.length > longestWindow)
        refuse(fmt::format("{}: windows of {} tokens; a window has at most {}", what, windows.length, longestWindow));
    const std::size_t most = mostTokensOfText / std::max<std::size_t>(windows.length, 1);
    if (windows.count > most || more > most - windows.count)
        refuse(fmt::format("{}: {}{} windows of {} tokens; at most {} are possible", what, windows.count,
                           more > 0 ? fmt::format(" and {} more", more) : "", windows.length, most));
}

void validateWindows(const WindowOptions& windows, const std::string& what)
{
    if (windows.text.empty())
        refuse(what + ": no text is named");
    if (windows.length < 2)
        refuse(fmt::format("{}: windows of {} tokens; a window needs at least 2", what, windows.length));
}

void validateWeightType(DType dtype, std::string_view what)
{
    if (dtype != DType::F32 && dtype != DType::F16 && dtype != DType::BF16)
        refuse(fmt::format("{} is {}; weights are stored as F32, F16 or BF16", what, dtypeName(dtype)));
}

void validateMethod(const Recipe& recipe)
{
    const Method& method = findMethod(recipe.method);
    checkParameters(method, recipe.parameters);
    if (recipe.sequential != SequentialMode::Dense && !needsStatistics(method, recipe.parameters))
        refuse(fmt::format("method {} uses no statistics, so sequential {} means nothing; use dense", method.name(),
                           sequentialModeName(recipe.sequential)));
    if (refitsFactors(recipe.sequential) && !method.groups().empty())
        refuse(fmt::format("method {} treats linears together, and sequential mode {} fits every linear alone: use "
                           "{}",
                           method.name(), sequentialModeName(recipe.sequential),
                           method.supportsAnchored() ? "dense, compressed or anchored" : "dense or compressed"));
    if (recipe.sequential == SequentialMode::Anchored && !method.supportsAnchored())
        refuse(fmt::format("method {} has no anchored form; use sequential dense or compressed", method.name()));
    if (needsStatistics(method, recipe.parameters) && !recipe.calibration)
        refuse(fmt::format("method {} needs a calibration text", method.name()));
}

void validateGradients(const Recipe& recipe)
{
    if (recipe.forecast && !recipe.calibration)
        refuse("a forecast needs a calibration text: gradients are of a text");
    if (!needsGradients(recipe))
        return;
    const Method& method = findMethod(recipe.method);
    if (!recipe.calibration)
        refuse(fmt::format("{} needs a calibration text: gradients are of a text",
                           method.needsGradients() ? fmt::format("method {}", method.name())
                                                   : fmt::format("allocation {}", recipe.allocation)));
    if (!method.groups().empty() && !method.sharesLatents())
        refuse(fmt::format("method {} treats linears in groups, whose losses in nats are not known; use allocation "
                           "marginal-loss",
                           method.name()));
    if (method.needsGradients() && recipe.sequential == SequentialMode::Alternate)
        refuse(fmt::format("method {} measures errors in nats, in which sequential mode {} does not fit A; use update",
                           method.name(), sequentialModeName(recipe.sequential)));
}

void validateAllocation(const Recipe& recipe)
{
    if (!(recipe.keptRatio > 0.0 && recipe.keptRatio <= 1.0))
        refuse(fmt::format("kept ratio {} is outside (0, 1]", recipe.keptRatio));
    if (findAllocator(recipe.allocation).needsPerplexities) {
        if (!recipe.calibration)
            refuse(fmt::format("allocation {} needs a calibration text: it measures perplexities", recipe.allocation));
        if (!findMethod(recipe.method).groups().empty())
            refuse(fmt::format("allocation {} tries linears one by one, and method {} treats them together; use "
                               "strs-loss",
                               recipe.allocation, recipe.method));
    }
    if (findAllocator(recipe.allocation).needsBlockInfluence && !recipe.calibration)
        refuse(fmt::format("allocation {} needs a calibration text: it looks at hidden states", recipe.allocation));
    if (recipe.structure == StructureKind::Dense)
        refuse("structure dense compresses nothing; use factors or block-identity");
    if (recipe.structure == StructureKind::SharedLatent)
        refuse("structure shared-latent comes from methods that share latents, such as joint-latents; use factors or "
               "block-identity, which the first linear of each set then has");
    for (const auto& [linear, rank] : recipe.ranks)
        if (rank == 0)
            refuse(fmt::format("rank 0 for {}; a rank is at least 1", linear));
    if (std::ranges::find(recipe.only, std::string()) != recipe.only.end())
        refuse("only: an empty pattern selects nothing");
}

void validateTraining(const Recipe& recipe)
{
    if (!distillationOf(recipe) && !recipe.recovery)
        return;
    if (findMethod(recipe.method).sharesLatents())
        refuse(fmt::format("method {} shares latents between linears, whose factors cannot be trained yet; train "
                           "another method's",
                           recipe.method));
    if (!recipe.calibration)
        refuse("training of factors needs a calibration text");
    if (const auto distillation = distillationOf(recipe))
        rankwright::validateTraining(distillation->training, "distillation");
    if (recipe.recovery)
        rankwright::validateTraining(recipe.recovery->training, "recovery");
}

void validateTexts(const Recipe& recipe)
{
    if (recipe.calibration)
        validateWindows(*recipe.calibration, "calibration");
    for (const WeightedText& text : recipe.moreCalibrations) {
        validateWindows(text.windows, "moreCalibrations");
        if (!recipe.calibration)
            refuse("moreCalibrations: they are mixed into those of a calibration text, and there is none");
        if (!(text.weight > 0.0) || !std::isfinite(text.weight))
            refuse(fmt::format("moreCalibrations: weight {}; a weight is a number above 0", text.weight));
        if (text.windows.length != recipe.calibration->length)
            refuse(fmt::format("moreCalibrations: windows of {} tokens beside those of {}; all texts of a calibration "
                               "have windows of one length",
                               text.windows.length, recipe.calibration->length));
        if (recipe.sequential != SequentialMode::Dense)
            refuse(fmt::format("several calibration texts are mixed by their statistics, and sequential mode {} makes "
                               "new ones block by block: use dense",
                               sequentialModeName(recipe.sequential)));
    }
    if (recipe.heldOutWindows > 0) {
        if (!recipe.calibration)
            refuse("held-out windows need a calibration text");
        if (recipe.calibration->count == 0 || recipe.calibration->order != WindowOrder::Consecutive)
            refuse("held-out windows follow the calibration windows: give a number of consecutive calibration windows");
    }
    std::set<std::string> names;
    for (const EvaluationText& text : recipe.evaluations) {
        validateWindows(text.windows, "evaluation");
        const std::string name = evaluationName(text);
        if (!names.insert(name).second)
            refuse(fmt::format("two evaluations are called '{}'; give them names", name));
    }
}

/// `*` is any run of characters, `?` any one.
bool matchesPattern(std::string_view text, std::string_view pattern)
{
    std::size_t at = 0;
    std::size_t next = 0;
    std::size_t star = std::string_view::npos;
    std::size_t starAt = 0;
    while (at < text.size()) {
        if (next < pattern.size() && pattern[next] == '*') {
            star = next++;
            starAt = at;
        } else if (next < pattern.size() && (pattern[next] == '?' || pattern[next] == text[at])) {
            ++next;
            ++at;
        } else if (star != std::string_view::npos) {
            next = star + 1;
            at = ++starAt;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', next) == std::string_view::npos;
}

} // namespace

std::string evaluationName(const EvaluationText& text)
{
    return text.name.empty() ? text.windows.text.filename().string() : text.name;
}

DType weightTypeFromName(std::string_view name)
{
    std::string upper(name);
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    for (const DType dtype : {DType::F32, DType::F16, DType::BF16})
        if (dtypeName(dtype) == upper)
            return dtype;
    refuse(fmt::format("unknown type of weights '{}'; known: F32, F16, BF16", name));
}

void validateWindowLimits(const Recipe& recipe)
{
    if (recipe.calibration) {
        validateLimits(*recipe.calibration, "calibration", recipe.heldOutWindows);
        if (const auto distillation = distillationOf(recipe))
            validateLimits(trainingWindows(recipe, distillation->training), "distillation");
        if (recipe.recovery)
            validateLimits(trainingWindows(recipe, recipe.recovery->training), "recovery");
    }
    for (const WeightedText& text : recipe.moreCalibrations)
        validateLimits(text.windows, "moreCalibrations");
    for (const EvaluationText& text : recipe.evaluations)
        validateLimits(text.windows, "evaluation");
}

StructureKind recipeStructureFromName(std::string_view name)
{
    // Of these two validateRecipe() says why they cannot be chosen.
    for (const StructureKind kind : {StructureKind::Dense, StructureKind::SharedLatent})
        if (structureName(kind) == name)
            return kind;
    std::array<std::string_view, recipeStructures.size()> names;
    std::ranges::transform(recipeStructures, names.begin(), structureName);
    const auto found = std::ranges::find(names, name);
    if (found == names.end())
        refuse(fmt::format("unknown structure \"{}\"{}", name, knownNames(name, names)));
    return recipeStructures[static_cast<std::size_t>(found - names.begin())];
}

void validateRecipe(const Recipe& recipe)
{
    if (recipe.model.empty())
        refuse("the recipe names no model");
    if (const std::size_t bad = findInvalidUtf8(recipe.name); bad != std::string_view::npos)
        refuse(fmt::format("the name of the run is not UTF-8: byte 0x{:02x} at offset {} begins no character",
                           static_cast<unsigned char>(recipe.name[bad]), bad));
    validateMethod(recipe);
    validateAllocation(recipe);
    validateGradients(recipe);
    validateTexts(recipe);
    validateWindowLimits(recipe);
    validateTraining(recipe);
    validateWeightType(recipe.storage, "storage");
    validateWeightType(recipe.exportDType, "exportDtype");
    exportFormatFromName(recipe.exportFormat);
    if (recipe.device.empty())
        refuse("the recipe names no device; 'cpu' is always there");
    static_cast<void>(effectiveThreads({.threads = recipe.threads, .memoryLimit = 0, .scratchFolder = {}}));
}

bool recipeSelects(const Recipe& recipe, const LinearInfo& linear)
{
    return recipe.only.empty() || std::ranges::any_of(recipe.only, [&](const std::string& pattern) {
               return pattern == roleName(linear.role) || matchesPattern(linear.name, pattern);
           });
}

bool needsGradients(const Recipe& recipe)
{
    return findMethod(recipe.method).needsGradients() || findAllocator(recipe.allocation).needsGradients;
}

bool takesGradients(const Recipe& recipe)
{
    return recipe.forecast || needsGradients(recipe);
}

CurvatureOptions curvatureOptions(const Recipe& recipe)
{
    CurvatureOptions options = recipe.curvature;
    options.weightMoments = findMethod(recipe.method).needsWeightMoments();
    return options;
}

Structure storedStructure(const Recipe& recipe)
{
    return {recipe.structure, findMethod(recipe.method).sparseShare(recipe.parameters)};
}

std::optional<DistillationOptions> distillationOf(const Recipe& recipe)
{
    if (recipe.distillation || findMethod(recipe.method).name() != "lillama")
        return recipe.distillation;
    return DistillationOptions{};
}

WindowOptions trainingWindows(const Recipe& recipe, const TrainingOptions& training)
{
    WindowOptions windows = *recipe.calibration;
    if (training.windows > 0)
        windows.count = training.windows;
    return windows;
}

std::string recipeFingerprint(const Recipe& recipe, const std::string& modelFingerprint,
                              const std::string& calibrationFingerprint)
{
    const Method& method = findMethod(recipe.method);
    const std::set<std::string> only(recipe.only.begin(), recipe.only.end());
    Json what = {{"method", method.name()},
                 {"parameters", parametersToJson(method, recipe.parameters)},
                 {"keptRatio", recipe.keptRatio},
                 {"allocation", recipe.allocation},
                 {"structure", structureName(recipe.structure)},
                 {"sequential", sequentialModeName(recipe.sequential)},
                 {"storage", dtypeName(recipe.storage)},
                 {"ranks", recipe.ranks},
                 {"only", only}};
    if (needsGradients(recipe))
        what["curvature"] = {{"labels", gradientLabelsName(recipe.curvature.labels)}, {"seed", recipe.curvature.seed}};
    const auto training = [](Json& json, const TrainingOptions& options) {
        json.update({{"windows", options.windows},
                     {"epochs", options.epochs},
                     {"batch", options.batch},
                     {"learningRate", options.learningRate},
                     {"weightDecay", options.weightDecay},
                     {"seed", options.seed}});
    };
    if (const auto distillation = distillationOf(recipe)) {
        what["distillation"] = {{"inputs", distillationInputsName(distillation->inputs)}};
        training(what["distillation"], distillation->training);
    }
    if (recipe.recovery) {
        what["recovery"] = {{"target", recoveryTargetName(recipe.recovery->target)}};
        training(what["recovery"], recipe.recovery->training);
    }
    Hasher hasher;
    hasher.update(std::string_view("run")).update(version()).update(std::string_view(dumpJson(what)));
    hasher.update(std::string_view(modelFingerprint)).update(std::string_view(calibrationFingerprint));
    return hasher.hex();
}

} // namespace rankwright
