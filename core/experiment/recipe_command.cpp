#include "core/base/json.h"
#include "core/experiment/recipe.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

std::string shellWord(std::string_view word)
{
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
    if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos)
        return std::string(word);
    std::string result = "'";
    for (const char c : word)
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + "'";
}

namespace {

/// A command line that grows by options.
class CommandLine
{
public:
    explicit CommandLine(std::string start)
        : m_line(std::move(start))
    {}

    void word(std::string_view text) { m_line += ' ' + shellWord(text); }
    void option(std::string_view name, std::string_view value)
    {
        word(name);
        word(value);
    }
    void option(std::string_view name, std::size_t value) { option(name, std::to_string(value)); }
    /// Only where it is not what the program does anyway.
    template <typename T>
    void changed(std::string_view name, const T& value, const T& usual)
    {
        if (value != usual)
            option(name, value);
    }
    void flag(std::string_view name, bool set)
    {
        if (set)
            word(name);
    }
    const std::string& line() const { return m_line; }

private:
    std::string m_line;
};

std::string bytesText(std::size_t bytes)
{
    for (const auto& [shift, unit] : {std::pair(30U, "GiB"), std::pair(20U, "MiB"), std::pair(10U, "KiB")})
        if (bytes % (std::size_t{1} << shift) == 0)
            return fmt::format("{}{}", bytes >> shift, unit);
    return std::to_string(bytes);
}

bool sameButText(const WindowOptions& a, const WindowOptions& b)
{
    return a.rows == b.rows && a.length == b.length && a.count == b.count;
}

/// Options know neither weight decay nor seed of a training.
bool usualTraining(const TrainingOptions& training)
{
    const TrainingOptions usual;
    return training.weightDecay == usual.weightDecay && training.seed == usual.seed;
}

/// Options give all calibration texts the same windows, and all evaluation texts the same windows and no names.
bool optionsCanSay(const Recipe& recipe)
{
    if ((recipe.distillation && !usualTraining(recipe.distillation->training)) ||
        (recipe.recovery && !usualTraining(recipe.recovery->training)))
        return false;
    if (!std::ranges::all_of(recipe.moreCalibrations, [&](const WeightedText& text) {
            const WindowOptions& first = *recipe.calibration;
            return sameButText(text.windows, first) && text.windows.order == first.order &&
                   text.windows.seed == first.seed && text.windows.bosPerWindow == first.bosPerWindow;
        }))
        return false;
    return std::ranges::all_of(recipe.evaluations, [&](const EvaluationText& text) {
        return (text.name.empty() || text.name == text.windows.text.filename()) &&
               text.windows.order == WindowOrder::Consecutive && !text.windows.bosPerWindow &&
               sameButText(text.windows, recipe.evaluations.front().windows);
    });
}

std::string throughRecipeFile(Recipe recipe)
{
    const auto makeAbsolute = [](std::filesystem::path& path) {
        if (!path.empty())
            path = std::filesystem::absolute(path);
    };
    makeAbsolute(recipe.model);
    makeAbsolute(recipe.out);
    if (recipe.calibration)
        makeAbsolute(recipe.calibration->text);
    for (WeightedText& text : recipe.moreCalibrations)
        makeAbsolute(text.windows.text);
    for (EvaluationText& text : recipe.evaluations)
        makeAbsolute(text.windows.text);
    return fmt::format(R"(f=$(mktemp) && printf %s {} > "$f" && rankwright-cli compress --recipe "$f")",
                       shellWord(dumpJson(recipeToJson(recipe))));
}

void addCalibration(const Recipe& recipe, CommandLine& command)
{
    const WindowOptions& windows = *recipe.calibration;
    command.option("--calibration-text", windows.text.string());
    command.flag("--calibration-rows", windows.rows);
    command.option("--calibration-window", windows.length);
    if (windows.count > 0)
        command.option("--calibration-windows", windows.count);
    if (windows.order == WindowOrder::Random) {
        command.option("--calibration-order", windowOrderName(windows.order));
        command.option("--seed", windows.seed);
    }
    command.flag("--calibration-bos-per-window", windows.bosPerWindow);
    for (const WeightedText& text : recipe.moreCalibrations)
        command.option("--more-calibration", fmt::format("{}={}", text.windows.text.string(), text.weight));
}

void addEvaluations(const Recipe& recipe, CommandLine& command)
{
    for (const EvaluationText& text : recipe.evaluations)
        command.option("--evaluate-text", text.windows.text.string());
    const WindowOptions& windows = recipe.evaluations.front().windows;
    command.flag("--evaluate-rows", windows.rows);
    command.option("--evaluate-window", windows.length);
    if (windows.count > 0)
        command.option("--evaluate-windows", windows.count);
}

void addTraining(const std::string& prefix, std::string_view kind, const TrainingOptions& training,
                 CommandLine& command)
{
    const TrainingOptions usual;
    command.option(prefix, kind);
    command.changed(prefix + "-windows", training.windows, usual.windows);
    command.changed(prefix + "-epochs", training.epochs, usual.epochs);
    command.changed(prefix + "-batch", training.batch, usual.batch);
    if (training.learningRate != usual.learningRate)
        command.option(prefix + "-learning-rate", fmt::format("{}", training.learningRate));
}

} // namespace

std::string recipeToCommand(const Recipe& recipe)
{
    if (!optionsCanSay(recipe))
        return throughRecipeFile(recipe);
    const Recipe usual;
    CommandLine command("rankwright-cli compress");
    command.word(recipe.model.string());
    command.changed("--name", recipe.name, usual.name);
    command.option("--method", recipe.method);
    const std::vector<ParameterInfo> known = findMethod(recipe.method).parameters();
    for (const auto& [name, value] : recipe.parameters) {
        const auto info = std::ranges::find(known, name, &ParameterInfo::name);
        const Json stated = info == known.end() ? Json(value) : parameterToJson(*info, value);
        command.option(
            "--parameter",
            fmt::format("{}={}", name, stated.is_string() ? stated.get<std::string>() : fmt::format("{}", value)));
    }
    command.option("--keep", fmt::format("{}", recipe.keptRatio));
    command.changed("--allocation", recipe.allocation, usual.allocation);
    command.changed("--structure", structureName(recipe.structure), structureName(usual.structure));
    command.changed("--sequential", sequentialModeName(recipe.sequential), sequentialModeName(usual.sequential));
    command.changed("--storage", dtypeName(recipe.storage), dtypeName(usual.storage));
    for (const auto& [linear, rank] : recipe.ranks)
        command.option("--rank", fmt::format("{}={}", linear, rank));
    for (const std::string& pattern : recipe.only)
        command.option("--only", pattern);
    if (recipe.calibration)
        addCalibration(recipe, command);
    command.changed("--curvature", gradientLabelsName(recipe.curvature.labels),
                    gradientLabelsName(usual.curvature.labels));
    command.changed("--curvature-seed", recipe.curvature.seed, usual.curvature.seed);
    command.flag("--forecast", recipe.forecast);
    if (recipe.distillation)
        addTraining("--distill", distillationInputsName(recipe.distillation->inputs), recipe.distillation->training,
                    command);
    if (recipe.recovery)
        addTraining("--recover", recoveryTargetName(recipe.recovery->target), recipe.recovery->training, command);
    if (recipe.heldOutWindows > 0)
        command.option("--held-out-windows", recipe.heldOutWindows);
    if (!recipe.evaluations.empty())
        addEvaluations(recipe, command);
    if (!recipe.out.empty()) { // without an export its format means nothing, and is refused
        command.option("--out", recipe.out.string());
        command.changed("--format", recipe.exportFormat, usual.exportFormat);
        command.changed("--dtype", dtypeName(recipe.exportDType), dtypeName(usual.exportDType));
    }
    command.changed("--device", recipe.device, usual.device);
    command.changed("--threads", recipe.threads, usual.threads);
    if (recipe.memoryLimit > 0)
        command.option("--memory-limit", bytesText(recipe.memoryLimit));
    return command.line();
}

} // namespace rankwright
