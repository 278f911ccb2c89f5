#pragma once

#include "core/base/progress.h"
#include "core/tokenizer/tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

enum class WindowOrder { Consecutive, Random };
/// "consecutive", "random".
std::string_view windowOrderName(WindowOrder order);
/// Throws Error(InvalidArgument) listing the known names.
WindowOrder windowOrderFromName(std::string_view name);

/// Which tokens of a text are used.
struct WindowOptions
{
    std::filesystem::path text;
    bool rows = false;         ///< lines are data-set rows joined by two newlines (WikiText-2 of the papers)
    std::size_t length = 2048; ///< tokens per window
    std::size_t count = 0;     ///< 0: all whole windows
    WindowOrder order = WindowOrder::Consecutive;
    std::uint64_t seed = 0;    ///< for Random: disjoint whole windows drawn without replacement, ascending
    bool bosPerWindow = false; ///< pieces of length - 1, each with a BOS in front; else special tokens once
};

/// Disjoint windows of equal length; the short tail of the text is dropped.
struct TokenWindows
{
    std::vector<std::vector<std::int32_t>> ids;
    std::vector<std::size_t> offsets; ///< first token of each window in the tokenised text
    /// Tokens of the text, special ones included; with a count of consecutive windows the text is read only as far as
    /// they need, so it is then the tokens of the windows.
    std::size_t textTokens = 0;
    std::string fingerprint; ///< of the ids and offsets
};

/// Tokenises the text once (with the tokenizer's own special tokens, so at most one BOS at the very start) and cuts it.
/// Throws Error(InvalidArgument) if the text is shorter than the windows asked for (naming both numbers), if `length`
/// is below 2, or if bosPerWindow is set and the tokenizer has no BOS; Error(Corrupt) if the text is empty or not
/// UTF-8.
TokenWindows makeWindows(const Tokenizer& tokenizer, const WindowOptions& options, const TaskContext& context);

/// The `count` windows that follow the consecutive `options.count` ones: text that was not calibrated on. Throws as
/// makeWindows(), Error(InvalidArgument) for windows of random order or no number.
TokenWindows windowsAfter(const Tokenizer& tokenizer, const WindowOptions& options, std::size_t count,
                          const TaskContext& context);

/// MersenneTwister-based choice used by Random, part of the reproducible contract: `count` of `available`, ascending.
std::vector<std::size_t> drawWindows(std::size_t available, std::size_t count, std::uint64_t seed);

} // namespace rankwright
