#include "core/tokenizer/tokenizer.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/paths.h"
#include "core/tokenizer/bpe_tokenizer.h"
#include "core/tokenizer/sentencepiece_model.h"
#include "core/tokenizer/vocabulary_conversion.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <map>

namespace rankwright {

namespace {

constexpr std::size_t largestFile = std::size_t{256} << 20U;

std::string readBounded(const std::filesystem::path& file)
{
    std::error_code failure;
    const auto size = std::filesystem::file_size(file, failure);
    if (!failure && size > largestFile)
        throw Error(ErrorKind::Corrupt, fmt::format("a tokenizer file of {} bytes, more than {}", size, largestFile),
                    {.file = file});
    return readFile(file);
}

/// What stands beside a tokenizer file and says which tokens begin and end a text.
class Surroundings
{
public:
    explicit Surroundings(const std::filesystem::path& folder)
        : m_folder(folder)
        , m_file(folder / "tokenizer_config.json")
        , m_config(read(m_file))
        , m_map(read(folder / "special_tokens_map.json"))
    {}

    std::optional<std::string> token(const char* key) const
    {
        for (const Json* source : {&m_config, &m_map}) {
            const auto found = source->find(key);
            if (found == source->end())
                continue;
            if (found->is_string())
                return found->get<std::string>();
            if (found->is_object() && found->contains("content") && (*found)["content"].is_string())
                return (*found)["content"].get<std::string>();
        }
        return std::nullopt;
    }

    TokenRoles roles() const
    {
        return {token("bos_token"), token("eos_token"), token("unk_token"), token("pad_token")};
    }

    bool flag(const char* key, bool otherwise) const
    {
        const auto found = m_config.find(key);
        return found != m_config.end() && found->is_boolean() ? found->get<bool>() : otherwise;
    }

    /// A string of tokenizer_config.json.
    std::optional<std::string> text(const char* key) const { return textOf(m_config, key); }

    /// The class that tokenizer_config.json names reads the files, else that of the model's type. Throws
    /// Error(Unsupported) for a class with another pattern.
    VocabularyFamily family() const
    {
        const std::string name = text("tokenizer_class").value_or("");
        if (name.starts_with("Qwen2Tokenizer"))
            return VocabularyFamily::Qwen2;
        if (name.starts_with("GPT2Tokenizer") || name.starts_with("PreTrainedTokenizer"))
            return VocabularyFamily::Gpt2;
        if (!name.empty())
            throw Error(ErrorKind::Unsupported,
                        fmt::format("vocab.json + merges.txt of the class \"{}\"; known are GPT2Tokenizer and "
                                    "Qwen2Tokenizer. Save the model's tokenizer.json beside them",
                                    name),
                        {.file = m_file});
        const std::string type = textOf(read(m_folder / "config.json"), "model_type").value_or("");
        return type == "qwen2" || type == "qwen3" ? VocabularyFamily::Qwen2 : VocabularyFamily::Gpt2;
    }

    /// added_tokens_decoder as entries of the added_tokens of a tokenizer.json. Throws Error(Corrupt).
    std::map<std::int64_t, Json> addedTokens() const
    {
        std::map<std::int64_t, Json> tokens;
        const auto list = m_config.find("added_tokens_decoder");
        if (list == m_config.end() || list->is_null())
            return tokens;
        if (!list->is_object())
            throw Error(ErrorKind::Corrupt, "added_tokens_decoder is not an object", {.file = m_file});
        for (const auto& [key, value] : list->items()) {
            const JsonObject entry(value, "added_tokens_decoder." + key, m_file);
            std::int64_t id = -1;
            if (std::from_chars(key.data(), key.data() + key.size(), id).ptr != key.data() + key.size() || id < 0)
                entry.corrupt("the key is no token id");
            Json token = value;
            token["id"] = id;
            token["content"] = entry.text("content");
            tokens.emplace(id, std::move(token));
        }
        return tokens;
    }

private:
    static std::optional<std::string> textOf(const Json& object, const char* key)
    {
        const auto found = object.find(key);
        return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
    }

    static Json read(const std::filesystem::path& file)
    {
        if (!isPresent(file))
            return Json::object();
        Json json = readJson(file, largestFile);
        if (!json.is_object())
            throw Error(ErrorKind::Corrupt, "not an object", {.file = file});
        return json;
    }

    std::filesystem::path m_folder;
    std::filesystem::path m_file; ///< tokenizer_config.json
    Json m_config;
    Json m_map;
};

std::optional<VocabularyEntry> entryOf(const TokenizerJson& json, const std::string& token)
{
    const auto found = std::ranges::find(json.vocabulary, token, &VocabularyEntry::first);
    if (found != json.vocabulary.end())
        return *found;
    const auto list = json.rest.find("added_tokens");
    if (list == json.rest.end() || !list->is_array())
        return std::nullopt;
    for (const Json& added : *list) {
        if (added.is_object() && added.value("content", Json()) == token &&
            added.value("id", Json()).is_number_integer())
            return VocabularyEntry(token, added["id"].get<std::int64_t>());
    }
    return std::nullopt;
}

/// Llama's classes put a template of two flags in place of what tokenizer.json has; all others take it as it is.
void applyLlamaTemplate(TokenizerJson& json, const Surroundings& beside)
{
    const std::string name = beside.text("tokenizer_class").value_or("");
    constexpr std::array<std::string_view, 4> classes{"LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer",
                                                      "CodeLlamaTokenizerFast"};
    if (std::ranges::find(classes, name) == classes.end())
        return;
    std::optional<VocabularyEntry> bos;
    std::optional<VocabularyEntry> eos;
    if (beside.flag("add_bos_token", true)) {
        bos = entryOf(json, beside.roles().bos.value_or("<s>"));
        if (!bos) // transformers refuses it or invents a token
            return;
    }
    if (beside.flag("add_eos_token", false)) {
        eos = entryOf(json, beside.roles().eos.value_or("</s>"));
        if (!eos)
            return;
    }
    json.rest["post_processor"] = templateProcessing(bos, eos);
}

std::shared_ptr<const Tokenizer> openTokenizerJson(const std::filesystem::path& file, const Surroundings& beside)
{
    TokenizerJson json = parseTokenizerJson(readBounded(file), file);
    applyLlamaTemplate(json, beside);
    return std::make_shared<BpeTokenizer>(std::move(json), beside.roles(), file);
}

/// The tokens of added_tokens_decoder of tokenizer_config.json, in order of their ids, then those with a role that the
/// vocabulary has. Without a configuration beside them, vocab.json and merges.txt name no special tokens, and none are
/// recognised.
Json addedTokensBeside(const TokenizerJson& json, const Surroundings& beside)
{
    std::map<std::int64_t, Json> tokens = beside.addedTokens();
    const auto isListed = [&](const std::string& token) {
        return std::ranges::any_of(tokens, [&](const auto& listed) { return listed.second["content"] == token; });
    };
    const TokenRoles roles = beside.roles();
    for (const auto& role : {roles.bos, roles.eos, roles.unknown, roles.padding}) {
        const std::optional<VocabularyEntry> entry = role ? entryOf(json, *role) : std::nullopt;
        if (entry && !isListed(entry->first))
            tokens.emplace(entry->second, Json{{"id", entry->second},
                                               {"content", entry->first},
                                               {"single_word", false},
                                               {"lstrip", false},
                                               {"rstrip", false},
                                               {"normalized", false},
                                               {"special", true}});
    }
    Json list = Json::array();
    for (auto& [id, token] : tokens)
        list.push_back(std::move(token));
    return list;
}

std::shared_ptr<const Tokenizer> openVocabularyAndMerges(const std::filesystem::path& folder,
                                                         const Surroundings& beside)
{
    const std::filesystem::path vocabulary = folder / "vocab.json";
    const std::filesystem::path merges = folder / "merges.txt";
    TokenizerJson json =
        toTokenizerJson(parseVocabulary(readBounded(vocabulary), vocabulary), parseMerges(readBounded(merges), merges),
                        beside.family(), beside.flag("add_prefix_space", false));
    json.rest["added_tokens"] = addedTokensBeside(json, beside);
    const TokenRoles roles = beside.roles();
    // As GPT2Tokenizer of transformers (OPT).
    if (roles.bos && beside.flag("add_bos_token", false)) {
        if (const std::optional<VocabularyEntry> bos = entryOf(json, *roles.bos))
            json.rest["post_processor"] = templateProcessing(bos, std::nullopt);
    }
    return std::make_shared<BpeTokenizer>(std::move(json), roles, vocabulary);
}

std::shared_ptr<const Tokenizer> openModel(const std::filesystem::path& file, const Surroundings& beside)
{
    return openSentencePiece(file, beside.flag("add_bos_token", true), beside.flag("add_eos_token", false));
}

} // namespace

Tokenizer::~Tokenizer() = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const
{
    std::vector<std::int32_t> ids;
    encode(text, [&](std::span<const std::int32_t> part) { ids.insert(ids.end(), part.begin(), part.end()); });
    return ids;
}

std::shared_ptr<const Tokenizer> Tokenizer::open(const std::filesystem::path& path)
{
    if (!isPresent(path))
        throw Error(ErrorKind::NotFound, "no such file or folder", {.file = path});
    std::error_code failure;
    const bool isFolder = std::filesystem::is_directory(path, failure);
    const std::filesystem::path folder = isFolder ? path : path.parent_path();
    const Surroundings beside(folder);
    if (isFolder) {
        if (isPresent(folder / "tokenizer.json"))
            return openTokenizerJson(folder / "tokenizer.json", beside);
        if (isPresent(folder / "tokenizer.model"))
            return openModel(folder / "tokenizer.model", beside);
        if (isPresent(folder / "vocab.json") && isPresent(folder / "merges.txt"))
            return openVocabularyAndMerges(folder, beside);
        throw Error(ErrorKind::NotFound, "holds no tokenizer.json, no tokenizer.model and no vocab.json + merges.txt",
                    {.file = path});
    }
    if (path.filename() == "vocab.json" || path.filename() == "merges.txt")
        return openVocabularyAndMerges(folder, beside);
    if (path.extension() == ".model")
        return openModel(path, beside);
    if (path.extension() == ".json")
        return openTokenizerJson(path, beside);
    throw Error(ErrorKind::Unsupported,
                "not a tokenizer file; a tokenizer.json, a tokenizer.model or vocab.json + merges.txt is needed",
                {.file = path});
}

std::shared_ptr<const Tokenizer> Tokenizer::fromGguf(const GgufVocabulary& vocabulary,
                                                     const std::filesystem::path& file)
{
    const std::filesystem::path beside = file.parent_path() / "tokenizer.json";
    if (hasUnknownPreTokenizer(vocabulary) && isPresent(beside))
        return open(beside);
    return std::make_shared<BpeTokenizer>(rankwright::toTokenizerJson(vocabulary, file), rolesOf(vocabulary), file);
}

} // namespace rankwright
