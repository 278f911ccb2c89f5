#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/nearest_name.h"
#include "core/experiment/recipe.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <initializer_list>
#include <utility>

namespace rankwright {

namespace {

constexpr std::array<std::string_view, 25> recipeKeys = {
    "forecast",   "moreCalibrations", "name",     "model",  "method",  "parameters",  "keptRatio",   "allocation",
    "structure",  "sequential",       "storage",  "ranks",  "only",    "calibration", "evaluations", "heldOutWindows",
    "curvature",  "distillation",     "recovery", "device", "threads", "memoryLimit", "out",         "exportFormat",
    "exportDtype"};
constexpr std::array<std::string_view, 7> windowKeys = {"text",  "rows", "window",      "windows",
                                                        "order", "seed", "bosPerWindow"};

[[noreturn]] void refuse(const std::string& key, const std::string& message)
{
    throw Error(ErrorKind::InvalidArgument, fmt::format("recipe: {}: {}", key, message));
}

std::string asString(const Json& value, const std::string& key)
{
    if (!value.is_string())
        refuse(key, fmt::format("a string is expected, not {}", dumpJson(value)));
    return value.get<std::string>();
}

bool asBool(const Json& value, const std::string& key)
{
    if (!value.is_boolean())
        refuse(key, fmt::format("true or false is expected, not {}", dumpJson(value)));
    return value.get<bool>();
}

std::uint64_t asCount(const Json& value, const std::string& key)
{
    if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<std::int64_t>() < 0))
        refuse(key, fmt::format("a whole number from 0 is expected, not {}", dumpJson(value)));
    return value.get<std::uint64_t>();
}

double asNumber(const Json& value, const std::string& key)
{
    if (!value.is_number())
        refuse(key, fmt::format("a number is expected, not {}", dumpJson(value)));
    return value.get<double>();
}

/// A JSON object whose keys are checked at once; missing keys leave their target as it is.
class Fields
{
public:
    Fields(const Json& json, std::string where, std::span<const std::string_view> known)
        : m_json(json)
        , m_where(std::move(where))
    {
        if (!json.is_object())
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("recipe{}{}: an object is expected", m_where.empty() ? "" : ": ", m_where));
        for (const auto& item : json.items())
            if (std::ranges::find(known, item.key()) == known.end())
                refuse(path(item.key()), "unknown key" + knownNames(item.key(), known));
    }

    std::string path(std::string_view key) const
    {
        return m_where.empty() ? std::string(key) : fmt::format("{}.{}", m_where, key);
    }

    /// target = convert(value, path) where the key is there.
    template <typename Target, typename Convert>
    void read(std::string_view key, Target& target, const Convert& convert) const
    {
        if (const auto found = m_json.find(std::string(key)); found != m_json.end())
            target = convert(*found, path(key));
    }

    /// The same for a name that `fromName` turns into a value.
    template <typename Target, typename FromName>
    void readName(std::string_view key, Target& target, const FromName& fromName) const
    {
        read(key, target, [&](const Json& value, const std::string& where) {
            try {
                return fromName(asString(value, where));
            } catch (const Error& error) {
                refuse(where, error.what());
            }
        });
    }

private:
    const Json& m_json;
    std::string m_where;
};

/// Reads paths relative to a folder.
auto pathFrom(const std::filesystem::path& folder)
{
    return [folder](const Json& value, const std::string& key) {
        const std::filesystem::path path = asString(value, key);
        return path.empty() || path.is_absolute() ? path : folder / path;
    };
}

void readWindows(const Fields& fields, const std::filesystem::path& folder, WindowOptions& windows)
{
    fields.read("text", windows.text, pathFrom(folder));
    fields.read("rows", windows.rows, asBool);
    fields.read("window", windows.length, asCount);
    fields.read("windows", windows.count, asCount);
    fields.readName("order", windows.order, windowOrderFromName);
    fields.read("seed", windows.seed, asCount);
    fields.read("bosPerWindow", windows.bosPerWindow, asBool);
}

MethodParameters parametersFrom(const Json& json, const std::string& key, const std::string& method)
{
    if (!json.is_object())
        refuse(key, "an object of numbers or choices by name is expected");
    MethodParameters parameters;
    for (const auto& item : json.items()) {
        const std::string where = fmt::format("{}.{}", key, item.key());
        parameters.emplace_back(item.key(), item.value().is_string() ? parameterFromText(findMethod(method), item.key(),
                                                                                         asString(item.value(), where))
                                                                     : asNumber(item.value(), where));
    }
    return parameters;
}

std::map<std::string, std::size_t> ranksFrom(const Json& json, const std::string& key)
{
    if (!json.is_object())
        refuse(key, "an object of ranks by linear is expected");
    std::map<std::string, std::size_t> ranks;
    for (const auto& item : json.items())
        ranks[item.key()] = asCount(item.value(), fmt::format("{}.{}", key, item.key()));
    return ranks;
}

std::vector<std::string> patternsFrom(const Json& json, const std::string& key)
{
    if (!json.is_array())
        refuse(key, "an array of patterns is expected");
    std::vector<std::string> patterns;
    for (const Json& value : json)
        patterns.push_back(asString(value, key));
    return patterns;
}

/// An array of texts whose objects have one key beside those of the windows, which `readOwn` reads into the text.
template <typename Text, typename ReadOwn>
std::vector<Text> textsFrom(const Json& json, const std::string& key, const std::filesystem::path& folder,
                            std::string_view ownKey, const ReadOwn& readOwn)
{
    if (!json.is_array())
        refuse(key, "an array of texts is expected");
    std::vector<std::string_view> keys{ownKey};
    keys.insert(keys.end(), windowKeys.begin(), windowKeys.end());
    std::vector<Text> texts;
    for (const Json& value : json) {
        const Fields fields(value, fmt::format("{}[{}]", key, texts.size()), keys);
        Text& text = texts.emplace_back();
        readOwn(fields, text);
        readWindows(fields, folder, text.windows);
    }
    return texts;
}

std::vector<EvaluationText> evaluationsFrom(const Json& json, const std::string& key,
                                            const std::filesystem::path& folder)
{
    return textsFrom<EvaluationText>(json, key, folder, "name", [](const Fields& fields, EvaluationText& text) {
        fields.read("name", text.name, asString);
    });
}

std::vector<WeightedText> weightedFrom(const Json& json, const std::string& key, const std::filesystem::path& folder)
{
    return textsFrom<WeightedText>(json, key, folder, "weight", [](const Fields& fields, WeightedText& text) {
        fields.read("weight", text.weight, asNumber);
    });
}

std::size_t bytesFrom(const Json& json, const std::string& key)
{
    if (!json.is_string())
        return asCount(json, key);
    try {
        return parseBytes(json.get<std::string>());
    } catch (const Error& error) {
        refuse(key, error.what());
    }
}

/// null, or the options of a training: those of TrainingOptions and `ownKey`, a name for `own`.
template <typename Options, typename Own, typename FromName>
std::optional<Options> trainingFrom(const Json& json, const std::string& key, std::string_view ownKey,
                                    Own Options::*own, const FromName& fromName)
{
    if (json.is_null())
        return std::nullopt;
    const std::array<std::string_view, 7> keys = {ownKey,         "windows",     "epochs", "batch",
                                                  "learningRate", "weightDecay", "seed"};
    const Fields fields(json, key, keys);
    Options options;
    fields.readName(ownKey, options.*own, fromName);
    fields.read("windows", options.training.windows, asCount);
    fields.read("epochs", options.training.epochs, asCount);
    fields.read("batch", options.training.batch, asCount);
    fields.read("learningRate", options.training.learningRate, asNumber);
    fields.read("weightDecay", options.training.weightDecay, asNumber);
    fields.read("seed", options.training.seed, asCount);
    return options;
}

std::optional<DistillationOptions> distillationFrom(const Json& json, const std::string& key)
{
    return trainingFrom(json, key, "inputs", &DistillationOptions::inputs, distillationInputsFromName);
}

std::optional<RecoveryOptions> recoveryFrom(const Json& json, const std::string& key)
{
    return trainingFrom(json, key, "target", &RecoveryOptions::target, recoveryTargetFromName);
}

Json trainingToJson(std::string_view key, std::string_view value, const TrainingOptions& training)
{
    return {{std::string(key), value}, {"windows", training.windows},           {"epochs", training.epochs},
            {"batch", training.batch}, {"learningRate", training.learningRate}, {"weightDecay", training.weightDecay},
            {"seed", training.seed}};
}

Json windowsToJson(const WindowOptions& windows)
{
    return {{"text", windows.text.string()},
            {"rows", windows.rows},
            {"window", windows.length},
            {"windows", windows.count},
            {"order", windowOrderName(windows.order)},
            {"seed", windows.seed},
            {"bosPerWindow", windows.bosPerWindow}};
}

} // namespace

Recipe recipeFromJson(const Json& json, const std::filesystem::path& folder)
{
    const Fields fields(json, {}, recipeKeys);
    Recipe recipe;
    fields.read("name", recipe.name, asString);
    fields.read("model", recipe.model, pathFrom(folder));
    fields.read("method", recipe.method, asString);
    if (recipe.method == "best")
        throw Error(ErrorKind::InvalidArgument, "method \"best\" is a search for a recipe and stands in none; call "
                                                "rankwright-cli compress --method best");
    fields.read("parameters", recipe.parameters,
                [&](const Json& value, const std::string& key) { return parametersFrom(value, key, recipe.method); });
    fields.read("keptRatio", recipe.keptRatio, asNumber);
    fields.read("allocation", recipe.allocation, asString);
    fields.readName("structure", recipe.structure, recipeStructureFromName);
    fields.readName("sequential", recipe.sequential, sequentialModeFromName);
    fields.readName("storage", recipe.storage, weightTypeFromName);
    fields.read("ranks", recipe.ranks, ranksFrom);
    fields.read("only", recipe.only, patternsFrom);
    fields.read("calibration", recipe.calibration, [&](const Json& value, const std::string& key) {
        std::optional<WindowOptions> windows;
        if (!value.is_null())
            readWindows(Fields(value, key, windowKeys), folder, windows.emplace());
        return windows;
    });
    fields.read("moreCalibrations", recipe.moreCalibrations,
                [&](const Json& value, const std::string& key) { return weightedFrom(value, key, folder); });
    fields.read("curvature", recipe.curvature, [](const Json& value, const std::string& key) {
        constexpr std::array<std::string_view, 2> keys = {"labels", "seed"};
        const Fields options(value, key, keys);
        CurvatureOptions curvature;
        options.readName("labels", curvature.labels, gradientLabelsFromName);
        options.read("seed", curvature.seed, asCount);
        return curvature;
    });
    fields.read("distillation", recipe.distillation, distillationFrom);
    fields.read("recovery", recipe.recovery, recoveryFrom);
    fields.read("evaluations", recipe.evaluations,
                [&](const Json& value, const std::string& key) { return evaluationsFrom(value, key, folder); });
    fields.read("forecast", recipe.forecast, asBool);
    fields.read("heldOutWindows", recipe.heldOutWindows, asCount);
    fields.read("device", recipe.device, asString);
    fields.read("threads", recipe.threads, asCount);
    fields.read("memoryLimit", recipe.memoryLimit, bytesFrom);
    fields.read("out", recipe.out, pathFrom(folder));
    fields.read("exportFormat", recipe.exportFormat, asString);
    fields.readName("exportDtype", recipe.exportDType, weightTypeFromName);
    validateRecipe(recipe);
    return recipe;
}

Json recipeToJson(const Recipe& recipe)
{
    Json parameters = Json::object();
    const std::vector<ParameterInfo> known = findMethod(recipe.method).parameters();
    for (const auto& [name, value] : recipe.parameters) {
        const auto info = std::ranges::find(known, name, &ParameterInfo::name);
        parameters[name] = info == known.end() ? Json(value) : parameterToJson(*info, value);
    }
    Json evaluations = Json::array();
    for (const EvaluationText& text : recipe.evaluations) {
        Json json = {{"name", text.name}};
        json.update(windowsToJson(text.windows));
        evaluations.push_back(std::move(json));
    }
    Json more = Json::array();
    for (const WeightedText& text : recipe.moreCalibrations) {
        Json json = {{"weight", text.weight}};
        json.update(windowsToJson(text.windows));
        more.push_back(std::move(json));
    }
    return {{"name", recipe.name},
            {"model", recipe.model.string()},
            {"method", recipe.method},
            {"parameters", std::move(parameters)},
            {"keptRatio", recipe.keptRatio},
            {"allocation", recipe.allocation},
            {"structure", structureName(recipe.structure)},
            {"sequential", sequentialModeName(recipe.sequential)},
            {"storage", dtypeName(recipe.storage)},
            {"ranks", Json(recipe.ranks.empty() ? Json::object() : Json(recipe.ranks))},
            {"only", recipe.only},
            {"calibration", recipe.calibration ? windowsToJson(*recipe.calibration) : Json()},
            {"moreCalibrations", std::move(more)},
            {"curvature", {{"labels", gradientLabelsName(recipe.curvature.labels)}, {"seed", recipe.curvature.seed}}},
            {"distillation", recipe.distillation
                                 ? trainingToJson("inputs", distillationInputsName(recipe.distillation->inputs),
                                                  recipe.distillation->training)
                                 : Json()},
            {"recovery", recipe.recovery ? trainingToJson("target", recoveryTargetName(recipe.recovery->target),
                                                          recipe.recovery->training)
                                         : Json()},
            {"evaluations", std::move(evaluations)},
            {"forecast", recipe.forecast},
            {"heldOutWindows", recipe.heldOutWindows},
            {"device", recipe.device},
            {"threads", recipe.threads},
            {"memoryLimit", recipe.memoryLimit},
            {"out", recipe.out.string()},
            {"exportFormat", recipe.exportFormat},
            {"exportDtype", dtypeName(recipe.exportDType)}};
}

} // namespace rankwright
