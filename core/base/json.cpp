#include "core/base/json.h"

#include "core/base/error.h"
#include "core/base/file.h"

#include <fmt/format.h>
#include <set>
#include <vector>

namespace rankwright {

Json parseJson(std::string_view text, const std::filesystem::path& file)
{
    constexpr int deepest = 64;
    std::vector<std::set<std::string>> keys;
    const Json::parser_callback_t check = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > deepest)
            throw Error(ErrorKind::Corrupt, fmt::format("JSON nested deeper than {}", deepest), {.file = file});
        if (event == Json::parse_event_t::object_start)
            keys.emplace_back();
        else if (event == Json::parse_event_t::object_end)
            keys.pop_back();
        else if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
            throw Error(ErrorKind::Corrupt, fmt::format("JSON key \"{}\" appears twice", parsed.get<std::string>()),
                        {.file = file});
        return true;
    };
    try {
        return Json::parse(text.begin(), text.end(), check);
    } catch (const Json::exception& failure) {
        throw Error(ErrorKind::Corrupt, std::string("not valid JSON: ") + failure.what(), {.file = file});
    }
}

Json readJson(const std::filesystem::path& path, std::size_t limit)
{
    std::error_code failure;
    const auto size = std::filesystem::file_size(path, failure);
    if (!failure && size > limit)
        throw Error(ErrorKind::Corrupt, fmt::format("JSON file of {} bytes, more than the {} allowed", size, limit),
                    {.file = path});
    return parseJson(readFile(path), path);
}

std::string dumpJson(const Json& value, int indent)
{
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

} // namespace rankwright
