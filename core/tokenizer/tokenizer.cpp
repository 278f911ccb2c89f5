#include "core/tokenizer/tokenizer.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/paths.h"
#include "core/tokenizer/bpe_tokenizer.h"
#include "core/tokenizer/sentencepiece_model.h"
#include "core/tokenizer/vocabulary_conversion.h"

#include <algorithm>
#include <fmt/format.h>

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
        : m_config(read(folder / "tokenizer_config.json"))
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

private:
    static Json read(const std::filesystem::path& file)
    {
        if (!isPresent(file))
            return Json::object();
        Json json = readJson(file, largestFile);
        if (!json.is_object())
            throw Error(ErrorKind::Corrupt, "not an object", {.file = file});
        return json;
    }

    Json m_config;
    Json m_map;
};

std::shared_ptr<const Tokenizer> openTokenizerJson(const std::filesystem::path& file, const Surroundings& beside)
{
    return std::make_shared<BpeTokenizer>(parseTokenizerJson(readBounded(file), file), beside.roles(), file);
}

/// A beginning-of-text token in front, as GPT2Tokenizer of transformers puts it with add_bos_token (OPT); nothing where
/// the vocabulary lacks it.
void addBosTemplate(TokenizerJson& json, const std::string& bos)
{
    const auto found = std::ranges::find(json.vocabulary, bos, [](const auto& entry) { return entry.first; });
    if (found == json.vocabulary.end())
        return;
    const Json front = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
    const auto text = [](const char* id, int type) { return Json{{"Sequence", {{"id", id}, {"type_id", type}}}}; };
    json.rest["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single", Json::array({front, text("A", 0)})},
        {"pair", Json::array({front, text("A", 0), front, text("B", 1)})},
        {"special_tokens",
         {{bos, {{"id", bos}, {"ids", Json::array({found->second})}, {"tokens", Json::array({bos})}}}}}};
}

std::shared_ptr<const Tokenizer> openVocabularyAndMerges(const std::filesystem::path& folder,
                                                         const Surroundings& beside)
{
    const std::filesystem::path vocabulary = folder / "vocab.json";
    const std::filesystem::path merges = folder / "merges.txt";
    TokenizerJson json =
        toTokenizerJson(parseVocabulary(readBounded(vocabulary), vocabulary), parseMerges(readBounded(merges), merges),
                        beside.flag("add_prefix_space", false));
    // Without a configuration beside them, the two files name no special tokens, and none are recognised.
    const TokenRoles roles = beside.roles();
    for (const auto& role : {roles.bos, roles.eos, roles.unknown, roles.padding}) {
        for (const auto& [token, id] : json.vocabulary) {
            Json& added = json.rest["added_tokens"];
            const bool isNew = std::none_of(added.begin(), added.end(),
                                            [&, &name = token](const Json& a) { return a["content"] == name; });
            if (role && token == *role && isNew)
                added.push_back({{"id", id},
                                 {"content", token},
                                 {"single_word", false},
                                 {"lstrip", false},
                                 {"rstrip", false},
                                 {"normalized", false},
                                 {"special", true}});
        }
    }
    if (roles.bos && beside.flag("add_bos_token", false))
        addBosTemplate(json, *roles.bos);
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
    return std::make_shared<BpeTokenizer>(rankwright::toTokenizerJson(vocabulary, file), rolesOf(vocabulary), file);
}

} // namespace rankwright
