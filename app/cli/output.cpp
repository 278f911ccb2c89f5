#include "app/cli/output.h"

#include "core/base/error.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

namespace rankwright::cli {

namespace {

[[noreturn]] void failWrite(int code)
{
    throw Error(ErrorKind::Io, fmt::format("standard output cannot be written: {}", std::strerror(code)));
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

Table::Table(std::vector<Column> columns)
    : m_columns(std::move(columns))
{}

void Table::row(std::vector<std::string> cells)
{
    cells.resize(m_columns.size());
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
        result += fmt::format("  {}{}  {}\n", name, std::string(width - displayWidth(name), ' '), value);
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
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string shortened(const std::string& text, std::size_t width)
{
    // By bytes: only names of linears and files come here, and a character cut in two is replaced by the terminal.
    if (displayWidth(text) <= width || width < 5)
        return text;
    const std::size_t head = (width - 3) / 2;
    return fmt::format("{}...{}", text.substr(0, head), text.substr(text.size() - (width - 3 - head)));
}

std::string oneLine(std::string_view text)
{
    std::string result(text);
    std::ranges::replace_if(
        result, [](unsigned char c) { return c < 0x20U || c == 0x7FU; }, ' ');
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
