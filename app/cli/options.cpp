#include "app/cli/options.h"

#include "app/cli/help.h"
#include "app/cli/session.h"
#include "core/base/bytes.h"
#include "core/base/error.h"

#include <charconv>
#include <fmt/format.h>
#include <limits>

namespace rankwright::cli {

void addCommonOptions(CLI::App& command, Session& session)
{
    command.add_flag("--json", session.json, "Print one JSON object and nothing else on standard output")
        ->group("Common options");
    command.add_flag("--quiet", session.quiet, "No progress on standard error; warnings stay")->group("Common options");
    command
        .add_option("--store", session.storeFile,
                    "Store of the runs, instead of $XDG_DATA_HOME/rankwright/experiments.sqlite")
        ->type_name("FILE")
        ->group("Common options");
}

CLI::App* addVerb(CLI::App& app, Session& session, const std::string& name, const std::string& description,
                  const std::string& examples)
{
    CLI::App* command = app.add_subcommand(name, description);
    command->footer(examples);
    command->set_help_flag("-h,--help", "This text")->group("Common options");
    addCommonOptions(*command, session);
    return command;
}

CLI::Option* addModel(CLI::App& command, std::string& model)
{
    return command
        .add_option("MODEL", model, "Folder (Hugging Face, or exported by Rankwright), .safetensors or .gguf file")
        ->type_name("MODEL")
        ->required();
}

void readOption(const std::string& option, const std::function<void()>& read)
{
    try {
        read();
    } catch (const Error& error) {
        throw CLI::ValidationError(option, error.what());
    }
}

CLI::Option* addCount(CLI::App& command, const std::string& name, std::optional<std::size_t>& target,
                      const std::string& description)
{
    return command.add_option_function<std::string>(
        name, [&target, name](const std::string& text) { target = parseCount(name, text); }, description);
}

void addRunNumber(CLI::App& command, const std::string& name, std::optional<std::int64_t>& target,
                  const std::string& description)
{
    command
        .add_option_function<std::string>(
            name,
            [&target, name](const std::string& text) {
                constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
                const std::size_t number = parseCount(name, text);
                if (number > static_cast<std::size_t>(largest))
                    throw CLI::ValidationError(
                        name, fmt::format("no run has the number {}; the largest possible is {}", number, largest));
                target = static_cast<std::int64_t>(number);
            },
            description)
        ->type_name("ID")
        ->required();
}

void refuseEmptyPaths(CLI::App& command)
{
    for (CLI::Option* option : command.get_options([](const CLI::Option* each) { return takesPath(*each); }))
        option->check([](const std::string& path) { return std::string(path.empty() ? "the path is empty" : ""); });
    for (CLI::App* verb : command.get_subcommands([](const CLI::App*) { return true; }))
        refuseEmptyPaths(*verb);
}

PassOptions PassChoice::options() const
{
    return {.threads = threads.value_or(0), .memoryLimit = memoryLimit.value_or(0), .scratchFolder = {}};
}

std::shared_ptr<const Device> PassChoice::open() const
{
    return openDevice(deviceId(), threads.value_or(0));
}

void addPassOptions(CLI::App& command, PassChoice& choice)
{
    command.add_option("--device", choice.device, "Device of `rankwright-cli devices` (default: cpu)")
        ->type_name("ID")
        ->group("Machine");
    addCount(command, "--threads", choice.threads, "Processors to use (default: all)")
        ->type_name("N")
        ->group("Machine");
    command
        .add_option_function<std::string>(
            "--memory-limit",
            [&choice](const std::string& text) {
                readOption("--memory-limit", [&] { choice.memoryLimit = parseBytes(text); });
            },
            "Memory to stay within, for example 1GiB (default: three quarters of the machine)")
        ->type_name("SIZE")
        ->group("Machine");
}

bool WindowChoice::given() const
{
    return text || rows || length || count || order || seed || bosPerWindow;
}

void WindowChoice::apply(WindowOptions& windows) const
{
    if (text)
        windows.text = *text;
    windows.rows = windows.rows || rows;
    windows.length = length.value_or(windows.length);
    windows.count = count.value_or(windows.count);
    if (order)
        windows.order = windowOrderFromName(*order);
    windows.seed = seed.value_or(windows.seed);
    windows.bosPerWindow = windows.bosPerWindow || bosPerWindow;
}

WindowOptions WindowChoice::windows() const
{
    WindowOptions windows;
    apply(windows);
    return windows;
}

namespace {

void addWindowOptions(CLI::App& command, WindowChoice& choice, const std::string& prefix, const std::string& what,
                      const std::string& group)
{
    command.add_option(prefix + "text", choice.text, "UTF-8 text " + what)->type_name("FILE")->group(group);
    command
        .add_flag(prefix + "rows", choice.rows,
                  "Its lines are data-set rows, joined by two newlines as the papers do with WikiText-2")
        ->group(group);
    addCount(command, prefix + "window", choice.length, "Tokens per window")->type_name("L")->group(group);
    addCount(command, prefix + "windows", choice.count, "Number of windows (default: all whole ones of the text)")
        ->type_name("N")
        ->group(group);
    command
        .add_flag(prefix + "bos-per-window", choice.bosPerWindow,
                  "Start every window with a BOS token, instead of special tokens once at the start of the text")
        ->group(group);
}

void addDrawOptions(CLI::App& command, WindowChoice& choice, const std::string& prefix, const std::string& group)
{
    command
        .add_option(prefix + "order", choice.order,
                    "consecutive: windows from the start (default); random: drawn without replacement")
        ->type_name("consecutive|random")
        ->group(group);
    addCount(command, "--seed", choice.seed, "Seed of the random order (default: 0)")->type_name("S")->group(group);
}

} // namespace

void addTextOptions(CLI::App& command, WindowChoice& choice, const std::string& what, bool drawn)
{
    addWindowOptions(command, choice, "--", what, "Text");
    if (drawn)
        addDrawOptions(command, choice, "--", "Text");
}

void addCalibrationOptions(CLI::App& command, WindowChoice& choice)
{
    addWindowOptions(command, choice, "--calibration-", "that the statistics are of", "Calibration");
    addDrawOptions(command, choice, "--calibration-", "Calibration");
}

void GradientChoice::apply(CurvatureOptions& curvature) const
{
    if (labels)
        readOption("--curvature", [&] { curvature.labels = gradientLabelsFromName(*labels); });
    curvature.seed = seed.value_or(curvature.seed);
}

void addGradientOptions(CLI::App& command, GradientChoice& choice, const std::string& what)
{
    command
        .add_option("--curvature", choice.labels,
                    "Labels of the gradients " + what + ": drawn from the model (default), or the text's own")
        ->type_name("sampled|text")
        ->group("Calibration");
    addCount(command, "--curvature-seed", choice.seed, "Seed of drawn labels (default: 0)")
        ->type_name("S")
        ->group("Calibration");
}

void requireOrderOfSeed(const WindowChoice& choice, WindowOrder order, const std::string& prefix)
{
    if (choice.seed && order != WindowOrder::Random)
        throw CLI::RequiresError("--seed", prefix + "order random");
}

void requireTextAndWindow(const WindowChoice& choice, const std::string& prefix)
{
    if (!choice.text)
        throw CLI::RequiredError(prefix + "text");
    if (!choice.length)
        throw CLI::RequiredError(prefix + "window");
    if (*choice.length < 2)
        throw CLI::ValidationError(prefix + "window", "a window needs at least 2 tokens");
    WindowOrder order{};
    readOption(prefix + "order", [&] { order = choice.windows().order; });
    requireOrderOfSeed(choice, order, prefix);
}

std::pair<std::string, std::string> splitAssignment(const std::string& option, const std::string& text)
{
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0)
        throw CLI::ValidationError(option, fmt::format("'{}' is not of the form NAME=VALUE", text));
    return {text.substr(0, equals), text.substr(equals + 1)};
}

namespace {

template <typename T>
T parseWhole(const std::string& option, const std::string& text, const char* what)
{
    T value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size())
        throw CLI::ValidationError(option, fmt::format("'{}' is not {}", text, what));
    return value;
}

} // namespace

double parseNumber(const std::string& option, const std::string& text)
{
    return parseWhole<double>(option, text, "a number");
}

std::size_t parseCount(const std::string& option, const std::string& text)
{
    return parseWhole<std::size_t>(option, text, "a whole number");
}

} // namespace rankwright::cli
