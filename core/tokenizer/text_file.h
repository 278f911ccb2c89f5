#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace rankwright {

/// Byte offset of the first sequence that is not valid UTF-8, or std::string_view::npos.
std::size_t findInvalidUtf8(std::string_view text);

/// A whole text file, line ends kept. Throws Error(NotFound or Io), and Error(Corrupt) for an empty file or invalid
/// UTF-8, naming the byte offset.
std::string readText(const std::filesystem::path& path);

/// The lines of a file read as data-set rows and joined by two newlines, which gives the WikiText text of the
/// compression papers: a line of white space only is an empty row, every other row keeps its newline; one newline at
/// the end of the file ends the last row. White space is that of Python's str.strip; bytes
/// that are not UTF-8 are none.
std::string joinRows(std::string_view fileContent);

} // namespace rankwright
