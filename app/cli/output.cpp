#include "app/cli/output.h"

#include "core/base/error.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>
#include <unistd.h>

namespace rankwright::cli {

namespace {

[[noreturn]] void failWrite(int code)
{
    throw Error(ErrorKind::Io, fmt::format("standard output cannot be written: {}", std::strerror(code)));
}

struct Character
{
    std::size_t bytes;
    std::size_t columns;
    UChar32 code; ///< below 0 for bytes that are no character
};

std::size_t columnsOf(UChar32 code)
{
    if (code < 0)
        return 1; // bytes that are no character are shown as one replacement
    if ((U_GET_GC_MASK(code) & (U_GC_MN_MASK | U_GC_ME_MASK | U_GC_CF_MASK)) != 0)
        return 0;
    const int width = u_getIntPropertyValue(code, UCHAR_EAST_ASIAN_WIDTH);
    return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

/// The character of UTF-8 text that begins at a byte.
Character characterAt(std::string_view text, std::size_t at)
{
    constexpr std::size_t longest = 4;
    const std::string_view rest = text.substr(at, longest);
    std::int32_t end = 0;
    UChar32 code = 0;
    U8_NEXT(rest.data(), end, static_cast<std::int32_t>(rest.size()), code);
    return {static_cast<std::size_t>(end), columnsOf(code), code};
}

} // namespace

void Output::write(std::string_view text)
{
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
        failWrite(errno);
}

void Output::json(const Json& value)
{
    write(dumpJson(value));
    write("\n");
    flush();
}

void Output::flush()
{
    if (std::fflush(stdout) != 0)
        failWrite(errno);
}

bool Output::isTerminal() const
{
    return ::isatty(STDOUT_FILENO) == 1;
}

void writeToStandardError(std::string_view text) noexcept
{
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
}

Table::Table(std::vector<Column> columns)
    : m_columns(std::move(columns))
{
    for (Column& column : m_columns)
        column.title = oneLine(column.title);
}

void Table::row(std::vector<std::string> cells)
{
    cells.resize(m_columns.size());
    for (std::string& cell : cells)
        cell = oneLine(cell);
    m_rows.push_back(std::move(cells));
}

std::string Table::text() const
{
    std::vector<std::size_t> widths(m_columns.size(), 0);
    for (const auto& row : m_rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], displayWidth(row[i]));
    std::string result;
    const auto line = [&](const auto& cell) {
        std::string text;
        for (std::size_t i = 0; i < m_columns.size(); ++i) {
            if (widths[i] == 0)
                continue;
            const std::size_t width = std::max(widths[i], displayWidth(m_columns[i].title));
            const std::string content = cell(i, width);
            const std::string padding(width - displayWidth(content), ' ');
            text += text.empty() ? "" : "  ";
            text += m_columns[i].align == Align::Left ? content + padding : padding + content;
        }
        result += text.substr(0, text.find_last_not_of(' ') + 1) + '\n';
    };
    line([&](std::size_t i, std::size_t) { return m_columns[i].title; });
    line([&](std::size_t, std::size_t width) { return std::string(width, '-'); });
    for (const auto& row : m_rows)
        line([&](std::size_t i, std::size_t) { return row[i]; });
    return result;
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& lines)
{
    std::size_t width = 0;
    for (const auto& [name, value] : lines)
        width = std::max(width, displayWidth(name));
    std::string result;
    for (const auto& [name, value] : lines)
        result += fmt::format("  {}{}  {}\n", name, std::string(width - displayWidth(name), ' '), oneLine(value));
    return result;
}

std::string rangeText(const std::string& first, const std::string& last)
{
    return first == last ? first : first + "-" + last;
}

std::string grouped(std::size_t number)
{
    std::string digits = std::to_string(number);
    for (std::size_t at = digits.size(); at > 3; at -= 3)
        digits.insert(at - 3, 1, ',');
    return digits;
}

std::string percent(double share)
{
    return fmt::format("{:.2f} %", 100.0 * share);
}

std::string duration(double seconds)
{
    if (seconds < 99.95)
        return fmt::format("{:.1f} s", seconds);
    const auto whole = static_cast<long long>(std::llround(seconds));
    if (whole < 3600)
        return fmt::format("{} min {} s", whole / 60, whole % 60);
    return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::size_t displayWidth(std::string_view text)
{
    std::size_t columns = 0;
    for (std::size_t at = 0; at < text.size();) {
        const Character character = characterAt(text, at);
        columns += character.columns;
        at += character.bytes;
    }
    return columns;
}

std::string firstColumns(std::string_view text, std::size_t width)
{
    std::size_t end = 0;
    for (std::size_t columns = 0; end < text.size();) {
        const Character character = characterAt(text, end);
        columns += character.columns;
        if (columns > width)
            break;
        end += character.bytes;
    }
    return std::string(text.substr(0, end));
}

std::string shortened(const std::string& text, std::size_t width)
{
    std::size_t columns = displayWidth(text);
    if (columns <= width || width < 5)
        return text;
    const std::size_t head = (width - 3) / 2;
    std::size_t tail = 0;
    while (columns > width - 3 - head) {
        const Character character = characterAt(text, tail);
        columns -= character.columns;
        tail += character.bytes;
    }
    return fmt::format("{}...{}", firstColumns(text, head), text.substr(tail));
}

std::string oneLine(std::string_view text)
{
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const Character character = characterAt(text, at);
        // U+0080 to U+009F are control characters too: some terminals take U+009B as the start of an escape.
        if (character.code < 0)
            result += "\uFFFD";
        else if (u_charType(character.code) == U_CONTROL_CHAR)
            result += ' ';
        else
            result += text.substr(at, character.bytes);
        at += character.bytes;
    }
    return result;
}

std::string printable(std::string_view text)
{
    std::string result;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        result += oneLine(text.substr(0, end));
        result += end < text.size() ? "\n" : "";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

std::filesystem::path absolutePath(const std::filesystem::path& path)
{
    if (path.empty())
        return path;
    const std::filesystem::path normal = std::filesystem::absolute(path).lexically_normal();
    return normal.has_filename() || normal == normal.root_path() ? normal : normal.parent_path();
}

} // namespace rankwright::cli
