#include "core/base/error.h"
#include "core/tokenizer/regex.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <fmt/format.h>
#include <unicode/uchar.h>
#include <utility>
#include <vector>

namespace rankwright {

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
        m_opens = false;
        if (m_depth > 0 && std::string_view("BZ123456789").find(c) != std::string_view::npos)
            refuse(fmt::format("\\{} in a class", c));
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
        case 'x':
            // Two digits are a byte there and a character here.
            if (m_at + 2 < m_pattern.size() && std::string_view("89abcdefABCDEF").find(m_pattern[m_at + 2]) < 14)
                refuse("a byte that is not ASCII");
            copy(2);
            return copyBraces(true);
        case 'R':
            // Oniguruma 6.9 neither repeats it nor tries it again with less before it.
            if (m_pattern.size() > 2)
                refuse("\\R beside something else");
            return copy(2);
        case 'E':
        case 'G':
        case 'K':
        case 'Q':
        case 'U':
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
            copyBraces(false);
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
        // Outside of a class Oniguruma's properties know no ignored case.
        const bool exact = m_depth == 0 && m_caseless.back();
        if (exact)
            m_result += "(?-i:";
        copyProperty();
        if (exact)
            m_result += ')';
    }

    /// Refuses the names that mean more to ICU: hexadecimal digits of any width and script, joiners in words.
    void checkName(std::string_view given) const
    {
        std::string name;
        for (const char c : given) {
            if (u_isalpha(static_cast<unsigned char>(c)) != 0)
                name += lowerCase(static_cast<unsigned char>(c));
        }
        if (name == "xdigit" || name == "word")
            refuse("the class " + name);
    }

    void copyProperty()
    {
        checkName(m_pattern.substr(m_at + 2, std::min(m_pattern.find('}', m_at), m_pattern.size()) - m_at - 2));
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
            checkName(m_pattern.substr(m_at, close - m_at));
            return copy(close + 2 - m_at);
        }
        const std::string_view rest = m_pattern.substr(m_at);
        if (rest.starts_with("--") || rest.starts_with("-["))
            refuse("a set difference"); // to ICU; a range or a hyphen to Oniguruma
        if (rest.starts_with("&&"))
            return copy(2);
        if (c == '&')
            return replace(1, R"(\&)"); // an intersection to ICU before a class
        if (c == '[')
            ++m_depth;
        else if (c == ']')
            --m_depth;
        copy(1);
    }

    void outside(char c)
    {
        const bool opened = std::exchange(m_opens, c == '|' || c == '(');
        switch (c) {
        case '[':
            ++m_depth;
            copy(1);
            if (m_at < m_pattern.size() && m_pattern[m_at] == '^')
                copy(1);
            if (m_at < m_pattern.size() && m_pattern[m_at] == ']')
                replace(1, R"(\])");
            else if (m_at < m_pattern.size() && m_pattern[m_at] == ':')
                replace(1, R"(\:)"); // else the name of a class to ICU
            return;
        case '.':
            return replace(1, R"([^\n])");
        case '^':
            return replace(1, R"((?:\A|(?<=\n)(?!\z)))"); // not behind a line feed at the very end
        case '$':
            return replace(1, R"((?=\n|\z))");
        case '}':
            if (m_pattern.substr(m_at).starts_with("}+"))
                refuse("a repeated count");
            if (m_pattern.substr(m_at).starts_with("}?") &&
                m_pattern.substr(0, m_at).find(',', m_pattern.rfind('{', m_at)) == std::string_view::npos)
                refuse("a count that may be left out"); // a lazy one to ICU
            return copy(1);
        case '(':
            return group(opened);
        case ')':
            if (m_caseless.size() > 1)
                m_caseless.pop_back();
            return copy(1);
        default:
            return copy(1);
        }
    }

    /// `opens`: it is the first of an alternative.
    void group(bool opens)
    {
        const std::string_view rest = m_pattern.substr(m_at);
        if (rest.starts_with("(?i)") || rest.starts_with("(?-i)")) {
            if (!opens)
                refuse("ignoring case from the middle of an alternative on");
            m_caseless.back() = rest[2] == 'i';
        } else {
            m_caseless.push_back(rest.starts_with("(?i:") || (m_caseless.back() && !rest.starts_with("(?-i:")));
        }
        if (!rest.starts_with("(?"))
            return copy(1);
        for (const std::string_view known :
             {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?i)", "(?-i:", "(?-i)"}) {
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
    bool m_opens = true;                    ///< an alternative begins here
    std::vector<bool> m_caseless = {false}; ///< of the open groups: case is ignored
};

} // namespace

std::string Regex::translate(std::string_view pattern, const std::filesystem::path& file)
{
    return Translator(pattern, file).run();
}

} // namespace rankwright
