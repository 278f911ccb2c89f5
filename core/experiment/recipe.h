#pragma once

#include "core/base/json.h"
#include "core/calibration/curvature.h"
#include "core/decomposition/method.h"
#include "core/structure/structure.h"
#include "core/training/training_options.h"

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// A text to score original and compressed model on.
struct EvaluationText
{
    std::string name; ///< shown in tables; the file's name where empty
    WindowOptions windows;
};

/// A further text to calibrate on.
struct WeightedText
{
    WindowOptions windows;
    double weight = 1.0; ///< how much it counts where the calibration text counts 1, whatever its number of tokens
};

/// The name, or that of the file.
std::string evaluationName(const EvaluationText& text);

/// Most tokens of one window, and of all windows of one text: what takes bytes for each is then counted in 64 bits.
inline constexpr std::size_t longestWindow = std::size_t{1} << 24U;
inline constexpr std::size_t mostTokensOfText = std::size_t{1} << 40U;

/// Everything that decides the result of a run, and how to run it. The contract of window, command line and store.
struct Recipe
{
    std::string name;
    std::filesystem::path model;
    std::string method = "whitened-svd";
    MethodParameters parameters;
    double keptRatio = 0.8;
    std::string allocation = "uniform";
    StructureKind structure = StructureKind::Factors;
    SequentialMode sequential = SequentialMode::Dense;
    DType storage = DType::F32;                      ///< rounding of the factors
    std::map<std::string, std::size_t> ranks;        ///< set by hand, by linear
    std::vector<std::string> only;                   ///< patterns (* and ?) of linears or roles to compress; empty: all
    std::optional<WindowOptions> calibration;        ///< null where the method needs none
    std::vector<WeightedText> moreCalibrations;      ///< mixed into its statistics; not trained on
    CurvatureOptions curvature;                      ///< of the gradients, where method or allocation need them
    std::optional<DistillationOptions> distillation; ///< of the factors, block by block; see distillationOf()
    std::optional<RecoveryOptions> recovery;         ///< fine-tuning of all factors, after distillation; null: none
    std::vector<EvaluationText> evaluations;
    bool forecast = false;          ///< take gradients to record what the run costs in nats, see forecast.h
    std::size_t heldOutWindows = 0; ///< windows after the calibration windows for relative output errors; 0: none

    // How, not what: no part of the fingerprint.
    std::string device = "cpu";
    std::size_t threads = 0;
    std::size_t memoryLimit = 0;
    std::filesystem::path out; ///< export folder, empty for none
    std::string exportFormat = "factored";
    DType exportDType = DType::F32;
};

/// "F32", "F16" or "BF16", in any case: what weights can be stored as. Throws Error(InvalidArgument).
DType weightTypeFromName(std::string_view name);

/// What a recipe can have linears stored as; the first is the default.
inline constexpr std::array recipeStructures{StructureKind::Factors, StructureKind::BlockIdentity};
/// By name; also those that validateRecipe() refuses. Throws Error(InvalidArgument) listing recipeStructures.
StructureKind recipeStructureFromName(std::string_view name);

/// Reads a recipe; relative paths are taken from `folder`; what is absent has its default, except `model`. Keys are
/// camelCase: name, model, method, parameters {NAME: number, or the name of a choice}, keptRatio, allocation,
/// structure, sequential, storage, ranks {LINEAR: RANK}, only [PATTERN], calibration (null or a text), moreCalibrations
/// [a text with a weight], curvature {labels, seed}, distillation (null or {inputs, windows, epochs, batch,
/// learningRate, weightDecay, seed}), recovery (the same with target in place of inputs), evaluations [a text with a
/// name], forecast, heldOutWindows, device, threads, memoryLimit (bytes, or a text such as "1GiB"), out, exportFormat,
/// exportDtype. A text has the keys text, rows, window (tokens of one), windows (how many, 0: all), order, seed,
/// bosPerWindow. Throws Error(InvalidArgument) for unknown keys (naming the nearest known one), wrong types and values
/// out of range, before any work.
Recipe recipeFromJson(const Json& json, const std::filesystem::path& folder);
/// Complete: every key with its value.
Json recipeToJson(const Recipe& recipe);
/// Whether method or allocation need statistics of gradients.
bool needsGradients(const Recipe& recipe);
/// Whether the run takes them: the same, or to record what it costs in nats.
bool takesGradients(const Recipe& recipe);
/// Recipe::curvature, with the sums that the method needs.
CurvatureOptions curvatureOptions(const Recipe& recipe);
/// What its linears are stored as, with the sparse share of its method.
Structure storedStructure(const Recipe& recipe);
/// Recipe::distillation, or its defaults where the method is Lillama.
std::optional<DistillationOptions> distillationOf(const Recipe& recipe);
/// Windows of the calibration text that a training takes.
WindowOptions trainingWindows(const Recipe& recipe, const TrainingOptions& training);
/// Throws Error(InvalidArgument) where windows of a text, with held-out ones and those of a training, are longer than
/// longestWindow or have more than mostTokensOfText tokens.
void validateWindowLimits(const Recipe& recipe);
/// Checks everything that can be checked without opening the model. Throws Error(InvalidArgument).
void validateRecipe(const Recipe& recipe);
/// A word as a POSIX shell reads it back.
std::string shellWord(std::string_view word);
/// The rankwright-cli line that runs this recipe, quoted for a POSIX shell; options at their defaults are left out.
/// What options cannot say (evaluations that differ in more than the text, are random, have names of their own or a BOS
/// per window) goes through a temporary recipe file in the same line.
std::string recipeToCommand(const Recipe& recipe);
/// Whether a linear is chosen by Recipe::only: its whole name matches a pattern, or its role is one ("q", "down").
bool recipeSelects(const Recipe& recipe, const LinearInfo& linear);
/// Key of the compressed linears: recipe (what, not how), weights, calibration windows and program version.
std::string recipeFingerprint(const Recipe& recipe, const std::string& modelFingerprint,
                              const std::string& calibrationFingerprint);

} // namespace rankwright
