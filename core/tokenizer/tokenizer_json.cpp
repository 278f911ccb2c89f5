#include "core/tokenizer/tokenizer_json.h"

#include "core/base/error.h"

#include <fmt/format.h>
#include <unordered_set>

namespace rankwright {

namespace {

[[noreturn]] void corrupt(const std::filesystem::path& file, const std::string& what)
{
    throw Error(ErrorKind::Corrupt, what, {.file = file});
}

/// Builds values as the generic parser does, except that the vocabulary and the merges go straight into tables: an
/// ordered object looks every key up by walking over all others, which no vocabulary survives.
class Reader : public nlohmann::json_sax<Json>
{
public:
    Reader(TokenizerJson& out, bool vocabularyOnly, const std::filesystem::path& file)
        : m_out(out)
        , m_vocabularyOnly(vocabularyOnly)
        , m_file(file)
    {}

    bool null() override { return value(nullptr); }
    bool boolean(bool v) override { return value(v); }
    bool number_float(number_float_t v, const string_t&) override { return value(v); }
    bool binary(binary_t&) override { corrupt(m_file, "binary value in JSON"); }
    bool number_integer(number_integer_t v) override { return number(v, v); }
    bool number_unsigned(number_unsigned_t v) override
    {
        return number(v > std::uint64_t{INT64_MAX} ? INT64_MAX : static_cast<std::int64_t>(v), v);
    }

    bool string(string_t& v) override
    {
        if (m_table == Table::Merges && m_depth == m_tableDepth) {
            m_out.merges.push_back(splitMerge(v, m_out.merges.size(), m_file));
            return true;
        }
        if (m_table == Table::Merges && m_depth == m_tableDepth + 1) {
            m_pair.push_back(std::move(v));
            return true;
        }
        return value(std::move(v));
    }

    bool key(string_t& v) override
    {
        if (m_table == Table::Vocabulary) {
            if (!m_keys.back().insert(v).second)
                corrupt(m_file, fmt::format("token \"{}\" appears twice in the vocabulary", v));
            m_name = std::move(v);
            return true;
        }
        if (!m_keys.back().insert(v).second)
            corrupt(m_file, fmt::format("JSON key \"{}\" appears twice", v));
        m_open.back().name = std::move(v);
        return true;
    }

    bool start_object(std::size_t) override
    {
        enter();
        if (m_vocabularyOnly ? m_depth == 1 : isAt("vocab")) {
            m_table = Table::Vocabulary;
            m_tableDepth = m_depth;
        } else {
            open(Json::object());
        }
        m_keys.emplace_back();
        return true;
    }

    bool end_object() override
    {
        m_keys.pop_back();
        return leave(Table::Vocabulary);
    }

    bool start_array(std::size_t) override
    {
        enter();
        if (m_table == Table::Merges && m_depth == m_tableDepth + 1) {
            m_pair.clear();
        } else if (isAt("merges")) {
            m_table = Table::Merges;
            m_tableDepth = m_depth;
        } else {
            open(Json::array());
        }
        return true;
    }

    bool end_array() override
    {
        if (m_table == Table::Merges && m_depth == m_tableDepth + 1) {
            if (m_pair.size() != 2)
                corrupt(m_file, fmt::format("merge {} has {} parts instead of 2", m_out.merges.size(), m_pair.size()));
            m_out.merges.emplace_back(std::move(m_pair[0]), std::move(m_pair[1]));
            --m_depth;
            return true;
        }
        return leave(Table::Merges);
    }

    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& failure) override
    {
        corrupt(m_file, std::string("not valid JSON: ") + failure.what());
    }

private:
    enum class Table { None, Vocabulary, Merges };
    struct Open
    {
        Json value;
        std::string name;
    };

    bool isAt(const char* name) const
    {
        return m_table == Table::None && m_open.size() == 2 && m_open[0].name == "model" && m_open[1].name == name;
    }

    void enter()
    {
        constexpr std::size_t deepest = 64;
        if (m_table != Table::None && !(m_table == Table::Merges && m_depth == m_tableDepth))
            corrupt(m_file, "the vocabulary and the merges hold no nested values");
        if (++m_depth > deepest)
            corrupt(m_file, fmt::format("JSON nested deeper than {}", deepest));
    }

    void open(Json container) { m_open.push_back({std::move(container), {}}); }

    bool leave(Table table)
    {
        --m_depth;
        if (m_table == table && table != Table::None && m_depth + 1 == m_tableDepth) {
            m_table = Table::None;
            return true;
        }
        Json closed = std::move(m_open.back().value);
        m_open.pop_back();
        return value(std::move(closed));
    }

    template <typename Number>
    bool number(std::int64_t id, Number exact)
    {
        if (m_table != Table::Vocabulary)
            return value(exact);
        m_out.vocabulary.emplace_back(std::move(m_name), id);
        return true;
    }

    bool value(Json v)
    {
        if (m_table == Table::Vocabulary)
            corrupt(m_file, fmt::format("the id of token \"{}\" is not a number", m_name));
        if (m_table == Table::Merges)
            corrupt(m_file, fmt::format("merge {} is neither \"left right\" nor a pair", m_out.merges.size()));
        if (m_open.empty())
            m_out.rest = std::move(v);
        else if (m_open.back().value.is_array())
            m_open.back().value.push_back(std::move(v));
        else
            m_open.back().value.get_ref<Json::object_t&>().emplace_back(m_open.back().name, std::move(v));
        return true;
    }

    TokenizerJson& m_out;
    bool m_vocabularyOnly;
    const std::filesystem::path& m_file;
    std::vector<Open> m_open;
    std::vector<std::unordered_set<std::string>> m_keys;
    std::vector<std::string> m_pair;
    std::string m_name;
    Table m_table = Table::None;
    std::size_t m_tableDepth = 0;
    std::size_t m_depth = 0;
};

} // namespace

TokenizerJson parseTokenizerJson(std::string_view text, const std::filesystem::path& file)
{
    TokenizerJson result;
    Reader reader(result, false, file);
    Json::sax_parse(text.begin(), text.end(), &reader);
    return result;
}

std::vector<std::pair<std::string, std::int64_t>> parseVocabulary(std::string_view text,
                                                                  const std::filesystem::path& file)
{
    TokenizerJson result;
    Reader reader(result, true, file);
    Json::sax_parse(text.begin(), text.end(), &reader);
    if (!result.rest.is_null() || result.vocabulary.empty())
        corrupt(file, "not an object of tokens and ids");
    return std::move(result.vocabulary);
}

std::vector<std::pair<std::string, std::string>> parseMerges(std::string_view text, const std::filesystem::path& file)
{
    std::vector<std::pair<std::string, std::string>> merges;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (!line.starts_with("#version"))
            merges.push_back(splitMerge(line, merges.size(), file));
    }
    return merges;
}

std::pair<std::string, std::string> splitMerge(std::string_view merge, std::size_t rank,
                                               const std::filesystem::path& file)
{
    const std::size_t space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos)
        corrupt(file, fmt::format("merge {} is \"{}\" instead of two tokens with a space between", rank, merge));
    return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
}

JsonObject::JsonObject(const Json& value, std::string where, const std::filesystem::path& file)
    : m_value(value)
    , m_where(std::move(where))
    , m_file(file)
{
    if (!value.is_object())
        corrupt("not an object");
}

const Json* JsonObject::find(const char* key) const
{
    const auto found = m_value.find(key);
    return found == m_value.end() || found->is_null() ? nullptr : &*found;
}

const Json& JsonObject::at(const char* key) const
{
    const Json* found = find(key);
    if (found == nullptr)
        corrupt(fmt::format("\"{}\" is missing", key));
    return *found;
}

std::string JsonObject::text(const char* key) const
{
    const Json& value = at(key);
    if (!value.is_string())
        corrupt(fmt::format("\"{}\" is not a string", key));
    return value.get<std::string>();
}

std::string JsonObject::text(const char* key, std::string_view otherwise) const
{
    return find(key) == nullptr ? std::string(otherwise) : text(key);
}

bool JsonObject::flag(const char* key, bool otherwise) const
{
    const Json* value = find(key);
    if (value == nullptr)
        return otherwise;
    if (!value->is_boolean())
        corrupt(fmt::format("\"{}\" is neither true nor false", key));
    return value->get<bool>();
}

std::int64_t JsonObject::integer(const char* key) const
{
    const Json& value = at(key);
    if (!value.is_number_integer())
        corrupt(fmt::format("\"{}\" is not an integer", key));
    return value.get<std::int64_t>();
}

JsonObject JsonObject::object(const char* key) const
{
    return {at(key), m_where.empty() ? std::string(key) : m_where + "." + key, m_file};
}

const Json& JsonObject::array(const char* key) const
{
    const Json& value = at(key);
    if (!value.is_array())
        corrupt(fmt::format("\"{}\" is not a list", key));
    return value;
}

void JsonObject::corrupt(std::string_view what) const
{
    throw Error(ErrorKind::Corrupt, m_where.empty() ? std::string(what) : fmt::format("{}: {}", m_where, what),
                {.file = m_file});
}

void JsonObject::unsupported(std::string_view what) const
{
    throw Error(ErrorKind::Unsupported, m_where.empty() ? std::string(what) : fmt::format("{}: {}", m_where, what),
                {.file = m_file});
}

} // namespace rankwright
