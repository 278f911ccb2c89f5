#pragma once

#include "core/base/json.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rankwright::cli {

/// Standard output, where results go. Failures are errors: a result that nobody got is no success.
class Output
{
public:
    /// Throws Error(Io), e.g. for a full disk or a pipe whose reader is gone.
    void write(std::string_view text);
    /// One JSON object and a line end.
    void json(const Json& value);
    /// Writes what is buffered. Throws Error(Io).
    void flush();
    bool isTerminal() const;
};

/// Standard error, where a person is told how it goes. Never throws: nobody can be told that it cannot be written.
void writeToStandardError(std::string_view text) noexcept;

/// A table of text: first column to the left, numbers to the right, widths by content, cells made one line.
class Table
{
public:
    enum class Align { Left, Right };
    struct Column
    {
        std::string title;
        Align align = Align::Right;
    };

    explicit Table(std::vector<Column> columns);
    void row(std::vector<std::string> cells);
    /// Header, rule and rows, every line ended and none with spaces at its end. Columns without any content are left
    /// out.
    std::string text() const;

private:
    std::vector<Column> m_columns;
    std::vector<std::vector<std::string>> m_rows;
};

/// "name   value" lines with the names in one column, values made one line.
std::string facts(const std::vector<std::pair<std::string, std::string>>& lines);

/// 1,234,567.
std::string grouped(std::size_t number);
/// "81.25 %" of a share.
std::string percent(double share);
/// "12" of two equal texts, else "12-30".
std::string rangeText(const std::string& first, const std::string& last);
/// "8.3 s", "2 min 5 s", "1 h 12 min".
std::string duration(double seconds);
/// Columns on a terminal: two for wide characters of East Asia, none for combining ones.
std::size_t displayWidth(std::string_view text);
/// The whole characters that fit into `width` columns.
std::string firstColumns(std::string_view text, std::size_t width);
/// Cut in the middle, between characters, to at most `width` columns.
std::string shortened(const std::string& text, std::size_t width);
/// What a terminal can show, on one line: line ends and other control characters become spaces, bytes that are not
/// UTF-8 U+FFFD.
std::string oneLine(std::string_view text);
/// The same with the line ends as they are.
std::string printable(std::string_view text);
/// A path as the user's shell would take it from anywhere, without a slash at its end.
std::filesystem::path absolutePath(const std::filesystem::path& path);

} // namespace rankwright::cli
