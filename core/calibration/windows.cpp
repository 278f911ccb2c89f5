#include "core/calibration/windows.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/value_by_name.h"
#include "core/tokenizer/text_file.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <random>
#include <span>

namespace rankwright {

namespace {

/// Thrown through Tokenizer::encode() to end it early.
struct EnoughTokens
{};

/// Ids of a text, at most `limit`, with progress and cancel.
class TokenCollector
{
public:
    TokenCollector(std::size_t limit, const TaskContext& context, std::string item)
        : m_limit(limit)
        , m_context(context)
        , m_item(std::move(item))
    {}

    void add(std::span<const std::int32_t> ids)
    {
        m_ids.insert(m_ids.end(), ids.begin(),
                     ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), m_limit - m_ids.size())));
        if (m_ids.size() == m_limit)
            throw EnoughTokens();
        if (m_ids.size() >= m_nextReport) {
            m_nextReport = m_ids.size() + reportEvery;
            m_context.checkStop();
            m_context.report("tokenise", m_item, m_ids.size(), m_limit == unlimited ? 0 : m_limit);
        }
    }

    std::vector<std::int32_t> take() { return std::move(m_ids); }

    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

private:
    static constexpr std::size_t reportEvery = std::size_t{1} << 18U;

    std::size_t m_limit;
    const TaskContext& m_context;
    std::string m_item;
    std::vector<std::int32_t> m_ids;
    std::size_t m_nextReport = 0;
};

/// Tokens a window takes from the text.
std::size_t windowStep(const WindowOptions& options)
{
    if (options.length < 2)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("windows of {} tokens; a window needs at least 2", options.length));
    return options.bosPerWindow ? options.length - 1 : options.length;
}

std::vector<std::int32_t> tokenise(const Tokenizer& tokenizer, const WindowOptions& options, std::size_t limit,
                                   const TaskContext& context)
{
    std::string text = readText(options.text);
    if (options.rows)
        text = joinRows(text);
    TokenCollector collector(limit, context, options.text.filename().string());
    try {
        if (!options.bosPerWindow)
            collector.add(tokenizer.prefix());
        tokenizer.encode(text, [&](std::span<const std::int32_t> ids) { collector.add(ids); });
        if (!options.bosPerWindow)
            collector.add(tokenizer.suffix());
    } catch (const EnoughTokens&) {
        // The windows asked for are complete.
    }
    return collector.take();
}

[[noreturn]] void throwTooShort(const WindowOptions& options, std::size_t tokens, std::size_t available,
                                std::size_t step)
{
    const std::string has = fmt::format("the text has {} tokens", tokens);
    if (available == 0)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("{}, one window of {} needs {}; take a longer text or shorter windows", has,
                                options.length, step),
                    {.file = options.text});
    throw Error(ErrorKind::InvalidArgument,
                fmt::format("{}, which is {} windows of {}, but {} windows were asked for; take a longer text or fewer "
                            "windows",
                            has, available, options.length, options.count),
                {.file = options.text});
}

std::string fingerprintOf(const TokenWindows& windows)
{
    Hasher hasher;
    hasher.update(std::string_view("windows")).update(windows.ids.size());
    for (std::size_t i = 0; i < windows.ids.size(); ++i) {
        hasher.update(windows.offsets[i]).update(windows.ids[i].size());
        hasher.update(std::as_bytes(std::span(windows.ids[i])));
    }
    return hasher.hex();
}

} // namespace

std::string_view windowOrderName(WindowOrder order)
{
    return order == WindowOrder::Random ? "random" : "consecutive";
}

WindowOrder windowOrderFromName(std::string_view name)
{
    return valueByName(std::array{WindowOrder::Consecutive, WindowOrder::Random}, windowOrderName, name,
                       "order of windows");
}

std::vector<std::size_t> drawWindows(std::size_t available, std::size_t count, std::uint64_t seed)
{
    if (count > available)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("cannot draw {} of {} windows without replacement", count, available));
    std::vector<std::size_t> indices(available);
    for (std::size_t i = 0; i < available; ++i)
        indices[i] = i;
    // Fisher-Yates with own bounded numbers: std::uniform_int_distribution differs between standard libraries.
    std::mt19937_64 generator(seed);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t range = available - i;
        const std::uint64_t accepted = std::numeric_limits<std::uint64_t>::max() / range * range;
        std::uint64_t number = generator();
        while (number >= accepted)
            number = generator();
        std::swap(indices[i], indices[i + number % range]);
    }
    indices.resize(count);
    std::ranges::sort(indices);
    return indices;
}

TokenWindows makeWindows(const Tokenizer& tokenizer, const WindowOptions& options, const TaskContext& context)
{
    const std::size_t step = windowStep(options);
    std::int32_t bos = 0;
    if (options.bosPerWindow) {
        const auto token = tokenizer.bosToken();
        if (!token)
            throw Error(ErrorKind::InvalidArgument,
                        "a BOS token per window was asked for, but the tokenizer has none; leave that option out",
                        {.file = options.text});
        bos = *token;
    }
    const bool firstOnes = options.order == WindowOrder::Consecutive && options.count > 0;
    const bool fits = options.count <= TokenCollector::unlimited / step;
    const std::vector<std::int32_t> tokens =
        tokenise(tokenizer, options, firstOnes && fits ? options.count * step : TokenCollector::unlimited, context);

    const std::size_t available = tokens.size() / step;
    const std::size_t count = options.count > 0 ? options.count : available;
    if (count > available || count == 0)
        throwTooShort(options, tokens.size(), available, step);
    TokenWindows windows;
    windows.textTokens = tokens.size();
    windows.offsets = options.order == WindowOrder::Random ? drawWindows(available, count, options.seed)
                                                           : std::vector<std::size_t>(count);
    windows.ids.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t index = options.order == WindowOrder::Random ? windows.offsets[i] : i;
        windows.offsets[i] = index * step;
        std::vector<std::int32_t>& ids = windows.ids.emplace_back();
        ids.reserve(options.length);
        if (options.bosPerWindow)
            ids.push_back(bos);
        const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(windows.offsets[i]);
        ids.insert(ids.end(), first, first + static_cast<std::ptrdiff_t>(step));
    }
    windows.fingerprint = fingerprintOf(windows);
    return windows;
}

TokenWindows windowsAfter(const Tokenizer& tokenizer, const WindowOptions& options, std::size_t count,
                          const TaskContext& context)
{
    if (options.count == 0 || options.order != WindowOrder::Consecutive)
        throw Error(ErrorKind::InvalidArgument,
                    "held-out windows follow those calibrated on: give a number of consecutive windows",
                    {.file = options.text});
    WindowOptions all = options;
    all.count += count;
    TokenWindows windows = makeWindows(tokenizer, all, context);
    const auto first = static_cast<std::ptrdiff_t>(options.count);
    windows.ids.erase(windows.ids.begin(), windows.ids.begin() + first);
    windows.offsets.erase(windows.offsets.begin(), windows.offsets.begin() + first);
    windows.fingerprint = fingerprintOf(windows);
    return windows;
}

} // namespace rankwright
