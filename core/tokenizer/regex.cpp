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

namespace {

constexpr std::string_view wordClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
/// Outside of a class Oniguruma's \w also counts the superscripts and fractions of Latin-1.
constexpr std::string_view loneWordClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\xB2\xB3\xB9\xBC-\xBE)";

/// Rewrites Oniguruma's syntax (Ruby dialect) into ICU's.
class Translator
{
public:
    Translator(std::string_view pattern, const std::filesystem::path& file)
        : m_pattern(pattern)
        , m_file(file)
    {}

    std::string run()
    {
        while (m_at < m_pattern.size()) {
            const char c = m_pattern[m_at];
            if (c == '\\')
                escape();
            else if (m_depth > 0)
                inClass(c);
            else
                outside(c);
        }
        return std::move(m_result);
    }

private:
    [[noreturn]] void refuse(std::string_view what) const
    {
        throw Error(ErrorKind::Unsupported, fmt::format("regular expression {}: {} is not supported", m_pattern, what),
                    {.file = m_file});
    }

    void copy(std::size_t count)
    {
        m_result.append(m_pattern.substr(m_at, count));
        m_at += std::min(count, m_pattern.size() - m_at);
    }

    void replace(std::size_t count, std::string_view by)
    {
        m_result.append(by);
        m_at += count;
    }

    void escape()
    {
        if (m_at + 1 >= m_pattern.size())
            refuse("a backslash at the end");
        const char c = m_pattern[m_at + 1];
        switch (c) {
        case 's':
            return replace(2, R"(\p{White_Space})");
        case 'S':
            return replace(2, R"(\P{White_Space})");
        case 'd':
            return replace(2, R"(\p{Nd})");
        case 'D':
            return replace(2, R"(\P{Nd})");
        case 'w':
            return replace(2, fmt::format("[{}]", m_depth > 0 ? wordClass : loneWordClass));
        case 'W':
            return replace(2, fmt::format("[^{}]", m_depth > 0 ? wordClass : loneWordClass));
        case 'h':
            return replace(2, "[0-9a-fA-F]");
        case 'H':
            return replace(2, "[^0-9a-fA-F]");
        case 'v':
            return replace(2, R"(\x0B)");
        case 'b':
            if (m_depth > 0)
                return replace(2, R"(\x08)");
            return replace(2, fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", loneWordClass));
        case 'B':
            return replace(2, fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", loneWordClass));
        case 'Z':
            return replace(2, R"((?=\n?\z))");
        case 'p':
        case 'P':
            return property();
        case 'G':
        case 'K':
        case 'X':
        case 'N':
        case 'O':
        case 'y':
        case 'Y':
        case 'g':
            refuse(fmt::format("\\{}", c));
        default:
            copy(1);
            copy(codePointAt(m_pattern, m_at).length);
            copyBraces(c == 'x');
        }
    }

    /// The braces that belong to an escape, so that they are not taken for a repeat count.
    void copyBraces(bool wanted)
    {
        const std::size_t close = m_pattern.find('}', m_at);
        if (wanted && m_at < m_pattern.size() && m_pattern[m_at] == '{' && close != std::string_view::npos)
            copy(close + 1 - m_at);
    }

    void property()
    {
        const bool negated = m_pattern.substr(m_at + 2).starts_with("{^");
        if (negated) {
            m_result += m_pattern[m_at + 1] == 'p' ? R"(\P{)" : R"(\p{)";
            m_at += 4;
            const std::size_t close = m_pattern.find('}', m_at);
            return copy(close == std::string_view::npos ? 0 : close + 1 - m_at);
        }
        copy(2);
        copyBraces(true);
    }

    void inClass(char c)
    {
        if (c == '[' && m_pattern.substr(m_at).starts_with("[:")) {
            const std::size_t close = m_pattern.find(":]", m_at);
            if (close == std::string_view::npos)
                refuse("an open [:");
            return copy(close + 2 - m_at);
        }
        if (c == '[')
            ++m_depth;
        else if (c == ']')
            --m_depth;
        copy(1);
    }

    void outside(char c)
    {
        switch (c) {
        case '[':
            ++m_depth;
            copy(1);
            if (m_at < m_pattern.size() && m_pattern[m_at] == '^')
                copy(1);
            if (m_at < m_pattern.size() && m_pattern[m_at] == ']')
                replace(1, R"(\])");
            return;
        case '.':
            return replace(1, R"([^\n])");
        case '^':
            return replace(1, R"((?<![^\n]))");
        case '$':
            return replace(1, R"((?=\n|\z))");
        case '}':
            if (m_pattern.substr(m_at).starts_with("}+"))
                refuse("a repeated count");
            return copy(1);
        case '(':
            return group();
        default:
            return copy(1);
        }
    }

    void group()
    {
        const std::string_view rest = m_pattern.substr(m_at);
        if (!rest.starts_with("(?"))
            return copy(1);
        for (const std::string_view known :
             {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?i)", "(?-i:", "(?-i)", "(?#"}) {
            if (rest.starts_with(known))
                return copy(known.size());
        }
        if (rest.starts_with("(?<"))
            return copy(3);
        refuse(fmt::format("group {}", rest.substr(0, 4)));
    }

    std::string_view m_pattern;
    const std::filesystem::path& m_file;
    std::string m_result;
    std::size_t m_at = 0;
    std::size_t m_depth = 0;
};

} // namespace

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

std::string Regex::translate(std::string_view pattern, const std::filesystem::path& file)
{
    return Translator(pattern, file).run();
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
