#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace rankwright {

/// JSON with the order of keys kept, for everything the program reads and writes.
using Json = nlohmann::ordered_json;

/// Parses hostile text: duplicate keys, nesting deeper than 64, invalid UTF-8 and trailing characters are refused.
/// Throws Error(Corrupt) naming `file` and the position.
Json parseJson(std::string_view text, const std::filesystem::path& file);

/// readFile + parseJson; refuses files above `limit` bytes.
Json readJson(const std::filesystem::path& path, std::size_t limit = std::size_t{256} << 20U);

/// Text with invalid UTF-8 replaced, so that any message can be printed as JSON.
std::string dumpJson(const Json& value, int indent = -1);

} // namespace rankwright
