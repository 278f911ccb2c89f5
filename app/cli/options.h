#pragma once

#include "core/calibration/curvature.h"
#include "core/calibration/windows.h"
#include "core/model/forward.h"

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rankwright::cli {

class Session;

/// --json, --quiet and --store, which every verb has.
void addCommonOptions(CLI::App& command, Session& session);

/// A verb under `app` with the common options.
CLI::App* addVerb(CLI::App& app, Session& session, const std::string& name, const std::string& description,
                  const std::string& examples);

/// The positional MODEL.
CLI::Option* addModel(CLI::App& command, std::string& model);

/// Runs `read` and turns its Error into a CLI::ValidationError that names the option.
void readOption(const std::string& option, const std::function<void()>& read);

/// An option with a whole number; unlike CLI11's own conversion it takes no sign.
CLI::Option* addCount(CLI::App& command, const std::string& name, std::optional<std::size_t>& target,
                      const std::string& description);

/// The positional number of a run. One that no store can have is a wrong call.
void addRunNumber(CLI::App& command, const std::string& name, std::optional<std::int64_t>& target,
                  const std::string& description);

/// Makes an empty path a wrong call, for all options and arguments of a command and of those under it.
void refuseEmptyPaths(CLI::App& command);

/// Where and with how much work is done.
struct PassChoice
{
    std::optional<std::string> device;
    std::optional<std::size_t> threads;
    std::optional<std::size_t> memoryLimit; ///< bytes

    std::string deviceId() const { return device.value_or("cpu"); }
    PassOptions options() const;
    std::shared_ptr<const Device> open() const;
};
void addPassOptions(CLI::App& command, PassChoice& choice);

/// Windows of a text as options give them.
struct WindowChoice
{
    std::optional<std::string> text;
    bool rows = false;
    std::optional<std::size_t> length;
    std::optional<std::size_t> count;
    std::optional<std::string> order;
    std::optional<std::size_t> seed;
    bool bosPerWindow = false;

    /// Whether any option was given.
    bool given() const;
    /// Changes what options were given for. Throws Error(InvalidArgument) for an unknown order.
    void apply(WindowOptions& windows) const;
    WindowOptions windows() const;
};

/// --text, --rows, --window, --windows and --bos-per-window; --order and --seed where `drawn`. `what` says in the
/// descriptions whose text it is.
void addTextOptions(CLI::App& command, WindowChoice& choice, const std::string& what, bool drawn);

/// --calibration-text, -rows, -window, -windows, -order, -bos-per-window, and --seed.
void addCalibrationOptions(CLI::App& command, WindowChoice& choice);

/// Labels of gradients as options give them.
struct GradientChoice
{
    std::optional<std::string> labels;
    std::optional<std::size_t> seed;

    /// Whether any option was given.
    bool given() const { return labels || seed; }
    /// Changes what options were given for. Throws CLI::ValidationError for unknown labels.
    void apply(CurvatureOptions& curvature) const;
};

/// --curvature and --curvature-seed. `what` says which gradients.
void addGradientOptions(CLI::App& command, GradientChoice& choice, const std::string& what);

/// Throws CLI::RequiresError for a seed beside an order that draws nothing; `prefix` is "--" or "--calibration-".
void requireOrderOfSeed(const WindowChoice& choice, WindowOrder order, const std::string& prefix);
/// Throws CLI::RequiredError unless text and window length were given, and what requireOrderOfSeed() throws.
void requireTextAndWindow(const WindowChoice& choice, const std::string& prefix);

/// NAME=VALUE cut at the last '='. Throws CLI::ValidationError.
std::pair<std::string, std::string> splitAssignment(const std::string& option, const std::string& text);
/// A number that is the whole text. Throws CLI::ValidationError.
double parseNumber(const std::string& option, const std::string& text);
std::size_t parseCount(const std::string& option, const std::string& text);

} // namespace rankwright::cli
