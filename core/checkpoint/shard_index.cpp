#include "core/checkpoint/shard_index.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

namespace rankwright {

namespace {

constexpr std::size_t sizeLimit = 100'000'000;
constexpr int deepest = 64;

/// Keeps the strings of the top-level object "weight_map" and skips everything else.
class IndexHandler : public nlohmann::json_sax<nlohmann::json>
{
public:
    explicit IndexHandler(std::filesystem::path path)
        : m_path(std::move(path))
    {}

    std::map<std::string, std::string> shards;

    bool start_object(std::size_t) override { return open(); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override
    {
        if (m_depth == 1) {
            m_inMap = name == "weight_map";
            if (m_inMap && std::exchange(m_mapSeen, true))
                throw Error(ErrorKind::Corrupt, "\"weight_map\" appears twice", {.file = m_path});
        }
        if (m_inMap && m_depth == 2)
            m_tensor = name;
        return true;
    }

    bool string(string_t& value) override
    {
        if (!m_inMap || m_depth != 2)
            return scalar();
        checkShardName(value);
        if (!shards.emplace(m_tensor, value).second)
            throw Error(ErrorKind::Corrupt, "the index names it twice", {.file = m_path, .tensor = m_tensor});
        return true;
    }

    bool null() override { return scalar(); }
    bool boolean(bool) override { return scalar(); }
    bool number_integer(number_integer_t) override { return scalar(); }
    bool number_unsigned(number_unsigned_t) override { return scalar(); }
    bool number_float(number_float_t, const string_t&) override { return scalar(); }
    bool binary(binary_t&) override { return scalar(); }

    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& failure) override
    {
        throw Error(ErrorKind::Corrupt, std::string("not valid JSON: ") + failure.what(), {.file = m_path});
    }

private:
    bool open()
    {
        if (m_inMap && m_depth == 2)
            return scalar();
        if (++m_depth > deepest)
            throw Error(ErrorKind::Corrupt, fmt::format("JSON nested deeper than {}", deepest), {.file = m_path});
        return true;
    }

    bool close()
    {
        if (--m_depth == 1)
            m_inMap = false;
        return true;
    }

    bool scalar() const
    {
        if (m_inMap)
            throw Error(ErrorKind::Corrupt, "\"weight_map\" must map tensor names to file names",
                        {.file = m_path, .tensor = m_tensor});
        return true;
    }

    void checkShardName(const std::string& name) const
    {
        const bool plain =
            !name.empty() && name != "." && name != ".." && std::none_of(name.begin(), name.end(), [](char c) {
                return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
            });
        if (!plain)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("the index names the shard \"{}\", which is not a plain file name beside it", name),
                        {.file = m_path, .tensor = m_tensor});
    }

    std::filesystem::path m_path;
    std::string m_tensor;
    int m_depth = 0;
    bool m_inMap = false;
    bool m_mapSeen = false;
};

} // namespace

std::map<std::string, std::string> readShardIndex(const std::filesystem::path& path)
{
    const MappedFile file(path);
    if (file.bytes().size() > sizeLimit)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("an index of {} bytes, more than the {} allowed", file.bytes().size(), sizeLimit),
                    {.file = path});
    const char* text = reinterpret_cast<const char*>(file.bytes().data());
    IndexHandler handler(path);
    nlohmann::json::sax_parse(text, text + file.bytes().size(), &handler);
    if (handler.shards.empty())
        throw Error(ErrorKind::Corrupt, "the index has no \"weight_map\" that names a tensor", {.file = path});
    return std::move(handler.shards);
}

} // namespace rankwright
