#include "core/tokenizer/regex.h"

#include "core/base/error.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <fmt/format.h>
#include <unicode/regex.h>
#include <unicode/unistr.h>
#include <unicode/utext.h>

namespace rankwright {

struct Regex::State
{
    std::string source;
    std::filesystem::path file;
    std::unique_ptr<icu::RegexPattern> pattern;
};

Regex::Regex(std::string_view pattern, const std::filesystem::path& file)
    : m_state(std::make_unique<State>())
{
    m_state->source = pattern;
    m_state->file = file;
    UErrorCode status = U_ZERO_ERROR;
    UParseError place{};
    m_state->pattern.reset(
        icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(translate(pattern, file)), 0, place, status));
    if (U_FAILURE(status) != 0)
        throw Error(ErrorKind::Unsupported, fmt::format("regular expression {}: {}", pattern, u_errorName(status)),
                    {.file = file});
}

Regex::~Regex() = default;

std::string Regex::literal(std::string_view text)
{
    std::string pattern;
    for (const char c : text) {
        if (std::string_view(R"(\^$.|?*+()[]{}-&#~/)").find(c) != std::string_view::npos)
            pattern += '\\';
        pattern += c;
    }
    return pattern;
}

/// One ICU matcher over a sliding UTF-16 window. Some units before the window stay visible to look-behind.
struct RegexScanner::Matcher
{
    static constexpr std::size_t window = std::size_t{16}
                                          << 10U; ///< bytes of text in a window, doubled for long pieces
    static constexpr std::size_t context = 32;    ///< UTF-16 units kept before the window

    explicit Matcher(const Regex& compiled)
        : regex(compiled.state())
    {
        UErrorCode status = U_ZERO_ERROR;
        matcher.reset(regex.pattern->matcher(status));
        if (U_FAILURE(status) == 0) {
            matcher->useTransparentBounds(true);
            matcher->useAnchoringBounds(false);
            matcher->setTimeLimit(20000, status);
            matcher->setStackLimit(64 << 20, status);
        }
        check(status);
    }
    ~Matcher() { utext_close(text); }
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    void check(UErrorCode status) const
    {
        if (U_FAILURE(status) != 0)
            throw Error(ErrorKind::Unsupported,
                        fmt::format("regular expression {}: {}", regex.source, u_errorName(status)),
                        {.file = regex.file});
    }

    /// Replaces everything behind the context by `part`.
    void load(std::string_view part)
    {
        units.resize(contextUnits);
        ascii = true;
        for (std::size_t at = 0; at < part.size();) {
            const CodePoint point = codePointAt(part, at);
            at += point.length;
            ascii = ascii && point.length == 1;
            if (point.value < 0x10000) {
                units += static_cast<char16_t>(point.value);
            } else {
                units += static_cast<char16_t>(0xd7c0 + (point.value >> 10U));
                units += static_cast<char16_t>(0xdc00 + (point.value & 0x3ffU));
            }
        }
        UErrorCode status = U_ZERO_ERROR;
        text = utext_openUChars(text, units.data(), static_cast<int64_t>(units.size()), &status);
        check(status);
        matcher->reset(text);
        matcher->region(static_cast<int64_t>(contextUnits), static_cast<int64_t>(units.size()), status);
        check(status);
    }

    /// Keeps the last units before `end` as context of the next window.
    void keepContext(std::size_t end)
    {
        std::size_t begin = end > context ? end - context : 0;
        if (begin > 0 && begin < end && (units[begin] & 0xfc00) == 0xdc00)
            ++begin;
        units = units.substr(begin, end - begin);
        contextUnits = units.size();
    }

    const Regex::State& regex;
    std::unique_ptr<icu::RegexMatcher> matcher;
    std::u16string units;
    std::size_t contextUnits = 0;
    bool ascii = true;
    UText* text = nullptr;
};

RegexScanner::RegexScanner(const Regex& regex, Found found)
    : m_matcher(std::make_unique<Matcher>(regex))
    , m_found(std::move(found))
{}

RegexScanner::~RegexScanner() = default;

void RegexScanner::push(std::string_view part, bool end)
{
    while (!m_pending.empty()) {
        const std::size_t size = boundaryAtOrBefore(part, std::max(Matcher::window, m_pending.size()));
        m_pending.append(part.substr(0, size));
        part.remove_prefix(size);
        m_pending.erase(0, scan(m_pending, end && part.empty()));
        if (part.empty())
            break;
    }
    if (!part.empty())
        m_pending.assign(part.substr(scan(part, end)));
    if (end) {
        m_behindMatch = false;
        m_matcher->contextUnits = 0;
        m_pending.clear();
    }
}

std::size_t RegexScanner::scan(std::string_view text, bool end)
{
    Matcher& m = *m_matcher;
    std::size_t settled = 0;
    std::size_t window = Matcher::window;
    while (settled < text.size()) {
        const std::string_view part = text.substr(settled, boundaryAtOrBefore(text.substr(settled), window));
        const bool last = settled + part.size() == text.size();
        m.load(part);
        std::size_t unit = m.contextUnits;
        std::size_t byte = 0;
        const auto advance = [&](std::size_t to) {
            const std::size_t begin = byte;
            if (m.ascii) {
                byte += to - unit;
                unit = to;
            }
            while (unit < to) {
                const std::size_t length = codePointAt(part, byte).length;
                byte += length;
                unit += length == 4 ? 2 : 1;
            }
            return part.substr(begin, byte - begin);
        };
        while (true) {
            UErrorCode status = U_ZERO_ERROR;
            const bool found = m.matcher->find(status) != 0;
            m.check(status);
            // A match that looked past the window may change with what follows.
            if (!(last && end) && (!found || m.matcher->hitEnd() != 0))
                break;
            const auto from = found ? static_cast<std::size_t>(m.matcher->start64(status)) : m.units.size();
            if (from > unit)
                m_found(advance(from), false);
            else if (found && m_behindMatch && m.matcher->end64(status) == m.matcher->start64(status))
                continue; // as the reference has it, no empty match begins where the last match ends
            m_behindMatch = found;
            if (!found)
                break;
            m_found(advance(static_cast<std::size_t>(m.matcher->end64(status))), true);
        }
        settled += byte;
        if (byte > 0) {
            m.keepContext(unit);
            window = Matcher::window;
        } else {
            window *= 2;
        }
        if (last)
            break;
    }
    return settled;
}

} // namespace rankwright
