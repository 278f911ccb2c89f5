#include "core/model/config_reader.h"

#include "core/base/error.h"

#include <cmath>
#include <fmt/format.h>
#include <utility>

namespace rankwright {

ConfigReader::ConfigReader(const Json& json, std::filesystem::path file)
    : m_json(json)
    , m_file(std::move(file))
{
    if (!json.is_object())
        throw Error(ErrorKind::Corrupt, "the configuration is not a JSON object", {.file = m_file});
}

const Json* ConfigReader::find(const std::string& key) const
{
    const auto found = m_json.find(key);
    return found == m_json.end() || found->is_null() ? nullptr : &*found;
}

void ConfigReader::refuse(const std::string& key, const std::string& why) const
{
    throw Error(ErrorKind::Corrupt, fmt::format("{} {}", key, why), {.file = m_file});
}

void ConfigReader::unsupported(const std::string& what) const
{
    throw Error(ErrorKind::Unsupported, what, {.file = m_file});
}

std::optional<std::size_t> ConfigReader::size(const std::string& key) const
{
    const Json* value = find(key);
    if (!value)
        return {};
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() == 0 ||
        std::cmp_greater(value->get<std::uint64_t>(), largestConfigSize))
        refuse(key, fmt::format("must be an integer from 1 to {}, not {}", largestConfigSize, dumpJson(*value)));
    return value->get<std::size_t>();
}

std::size_t ConfigReader::needSize(const std::string& key) const
{
    const std::optional<std::size_t> value = size(key);
    if (!value)
        refuse(key, "is missing");
    return *value;
}

double ConfigReader::real(const std::string& key, double otherwise) const
{
    const Json* value = find(key);
    if (!value)
        return otherwise;
    if (!value->is_number() || !std::isfinite(value->get<double>()))
        refuse(key, fmt::format("must be a finite number, not {}", dumpJson(*value)));
    return value->get<double>();
}

double ConfigReader::needReal(const std::string& key) const
{
    if (!find(key))
        refuse(key, "is missing");
    return real(key, 0.0);
}

bool ConfigReader::boolean(const std::string& key, bool otherwise) const
{
    const Json* value = find(key);
    if (!value)
        return otherwise;
    if (!value->is_boolean())
        refuse(key, fmt::format("must be true or false, not {}", dumpJson(*value)));
    return value->get<bool>();
}

std::string ConfigReader::string(const std::string& key, const std::string& otherwise) const
{
    const Json* value = find(key);
    if (!value)
        return otherwise;
    if (!value->is_string())
        refuse(key, fmt::format("must be a string, not {}", dumpJson(*value)));
    return value->get<std::string>();
}

std::vector<std::int32_t> ConfigReader::tokens(const std::string& key) const
{
    const Json* value = find(key);
    if (!value)
        return {};
    std::vector<std::int32_t> ids;
    for (const Json& id : value->is_array() ? *value : Json::array({*value})) {
        if (!id.is_number_integer() || id.get<std::int64_t>() < -1 || id.get<std::int64_t>() > largestConfigSize)
            refuse(key, fmt::format("must be a token id from 0 to {} or a list of them, not {}", largestConfigSize,
                                    dumpJson(*value)));
        if (id.get<std::int64_t>() >= 0)
            ids.push_back(id.get<std::int32_t>());
    }
    return ids;
}

} // namespace rankwright
