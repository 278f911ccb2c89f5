#include "core/tokenizer/text_file.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tokenizer/unicode.h"

#include <cstdint>
#include <cstring>
#include <fmt/format.h>

namespace rankwright {

namespace {

/// Length of the valid sequence at `at`, or 0 (Unicode 15, table 3-7).
std::size_t validLength(std::string_view text, std::size_t at)
{
    const auto byte = [&](std::size_t i) {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
    };
    const auto within = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
    const unsigned first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return within(1, 0x80, 0xbf) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        const bool second = within(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
        return second && within(2, 0x80, 0xbf) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        const bool second = within(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
        return second && within(2, 0x80, 0xbf) && within(3, 0x80, 0xbf) ? 4 : 0;
    }
    return 0;
}

/// Python's str.isspace: White_Space and the four information separators U+001C to U+001F.
bool isPythonSpace(char32_t value)
{
    return isWhiteSpace(value) || (value >= 0x1c && value <= 0x1f);
}

bool isBlank(std::string_view row)
{
    for (std::size_t at = 0; at < row.size();) {
        if (validLength(row, at) == 0)
            return false;
        const CodePoint point = codePointAt(row, at);
        if (!isPythonSpace(point.value))
            return false;
        at += point.length;
    }
    return true;
}

} // namespace

std::size_t findInvalidUtf8(std::string_view text)
{
    std::size_t at = 0;
    while (at < text.size()) {
        std::uint64_t eight = 0;
        if (at + sizeof eight <= text.size()) {
            std::memcpy(&eight, text.data() + at, sizeof eight);
            if ((eight & 0x8080808080808080U) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        const std::size_t length = validLength(text, at);
        if (length == 0)
            return at;
        at += length;
    }
    return std::string_view::npos;
}

std::string readText(const std::filesystem::path& path)
{
    std::string text = readFile(path);
    if (text.empty())
        throw Error(ErrorKind::Corrupt, "the text is empty", {.file = path});
    const std::size_t bad = findInvalidUtf8(text);
    if (bad != std::string_view::npos)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("not UTF-8: byte 0x{:02x} at offset {} begins no character; convert the file to UTF-8",
                                static_cast<unsigned char>(text[bad]), bad),
                    {.file = path});
    return text;
}

std::string joinRows(std::string_view fileContent)
{
    if (fileContent.ends_with('\n'))
        fileContent.remove_suffix(1);
    std::string joined;
    joined.reserve(fileContent.size() * 2);
    std::size_t begin = 0;
    while (true) {
        const std::size_t end = fileContent.find('\n', begin);
        const std::string_view row = fileContent.substr(begin, end == std::string_view::npos ? end : end - begin);
        if (begin > 0)
            joined += "\n\n";
        if (!isBlank(row))
            joined.append(row).push_back('\n');
        if (end == std::string_view::npos)
            return joined;
        begin = end + 1;
    }
}

} // namespace rankwright
