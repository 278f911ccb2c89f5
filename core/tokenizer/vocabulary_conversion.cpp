#include "core/tokenizer/vocabulary_conversion.h"

#include "core/base/error.h"
#include "core/tokenizer/text_file.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rankwright {

namespace {

enum TokenType { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

constexpr const char* lowLine = "\xe2\x96\x81"; // U+2581, SentencePiece's space

constexpr const char* gpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* llama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* qwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* gpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* tekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json split(const std::string& pattern)
{
    return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json byteLevel(bool addPrefixSpace, bool useRegex)
{
    return {
        {"type", "ByteLevel"}, {"add_prefix_space", addPrefixSpace}, {"trim_offsets", true}, {"use_regex", useRegex}};
}

Json sequence(const char* key, Json steps)
{
    return {{"type", "Sequence"}, {key, std::move(steps)}};
}

struct PreTokenization
{
    Json preTokenizer;
    Json normalizer = nullptr;
    bool ignoreMerges = false;
    bool addBos = false; ///< where the file does not say
};

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::optional<PreTokenization> knownPreTokenization(const std::string& name)
{
    const auto patterns = [](std::initializer_list<const char*> list) {
        Json steps = Json::array();
        for (const char* pattern : list)
            steps.push_back(split(pattern));
        steps.push_back(byteLevel(false, false));
        return sequence("pretokenizers", std::move(steps));
    };
    if (isOneOf(name,
                {"gpt-2", "gpt2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "roberta-bpe",
                 "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "a.x-4.0", "mellum"}))
        return PreTokenization{byteLevel(false, true)};
    // The reference ids have the GPT-2 pattern alone. Its merges join no two digits, so splitting digits first, as
    // llama.cpp does for this name, differs only where white space or a digit outside of ASCII meets one.
    if (name == "smollm")
        return PreTokenization{byteLevel(false, true)};
    if (isOneOf(name, {"starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}))
        return PreTokenization{sequence(
            "pretokenizers", Json::array({{{"type", "Digits"}, {"individual_digits", true}}, byteLevel(false, true)}))};
    if (isOneOf(name, {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"}))
        return PreTokenization{patterns({llama3Pattern}), nullptr, true, true};
    if (name == "glm4")
        return PreTokenization{patterns({llama3Pattern}), nullptr, true};
    if (isOneOf(name, {"dbrx", "smaug-bpe", "chatglm-bpe"}))
        return PreTokenization{patterns({llama3Pattern})};
    if (isOneOf(name, {"qwen2", "deepseek-r1-qwen", "megrez"}))
        return PreTokenization{patterns({qwen2Pattern}), {{"type", "NFC"}}};
    if (isOneOf(name, {"stablelm2", "hunyuan", "grok-2"}))
        return PreTokenization{patterns({qwen2Pattern})};
    if (isOneOf(name, {"gpt-4o", "llama4"}))
        return PreTokenization{patterns({gpt4oPattern})};
    if (name == "tekken")
        return PreTokenization{patterns({tekkenPattern}), nullptr, true, true};
    if (name.empty() || name == "default")
        return PreTokenization{patterns({R"([\p{P}\$\+<=>\^~\|]+)", gpt2Pattern, R"(\p{N}+)", "[0-9][0-9][0-9]"})};
    return std::nullopt;
}

PreTokenization preTokenizationOf(const std::string& name, const std::filesystem::path& file)
{
    if (std::optional<PreTokenization> known = knownPreTokenization(name))
        return *std::move(known);
    throw Error(ErrorKind::Unsupported,
                fmt::format("pre-tokenizer \"{}\" (tokenizer.ggml.pre) is not known; put the model's tokenizer.json "
                            "beside the file",
                            name),
                {.file = file});
}

/// Merges in the order SentencePiece makes them: every way to put a token together from two others, best score first.
std::vector<std::pair<std::string, std::string>> mergesOfScores(const GgufVocabulary& vocabulary,
                                                                const std::vector<std::string>& tokens,
                                                                const std::filesystem::path& file)
{
    std::unordered_map<std::string_view, bool> mergeable;
    std::vector<std::size_t> order;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
        if (vocabulary.types[id] != Normal && vocabulary.types[id] != Unused)
            continue;
        if (!std::isfinite(vocabulary.scores[id]))
            throw Error(ErrorKind::Corrupt, fmt::format("token {} has a score that is not finite", id), {.file = file});
        mergeable.emplace(tokens[id], true);
        if (vocabulary.types[id] == Normal)
            order.push_back(id);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return vocabulary.scores[a] > vocabulary.scores[b]; });
    std::vector<std::pair<std::string, std::string>> merges;
    for (const std::size_t id : order) {
        const std::string_view token = tokens[id];
        // Of equal pairs SentencePiece takes the leftmost, whose left part is the one that has grown already.
        for (std::size_t at = token.size(); at-- > 1;) {
            if ((static_cast<unsigned char>(token[at]) & 0xc0U) != 0x80U && mergeable.contains(token.substr(0, at)) &&
                mergeable.contains(token.substr(at)))
                merges.emplace_back(token.substr(0, at), token.substr(at));
        }
    }
    return merges;
}

void checkTables(const GgufVocabulary& vocabulary, const std::filesystem::path& file)
{
    const auto check = [&](const char* key, std::size_t size, bool optional) {
        if (size != vocabulary.tokens.size() && !(optional && size == 0))
            throw Error(
                ErrorKind::Corrupt,
                fmt::format("tokenizer.ggml.{} has {} entries for {} tokens", key, size, vocabulary.tokens.size()),
                {.file = file});
    };
    check("token_type", vocabulary.types.size(), true);
    check("scores", vocabulary.scores.size(), vocabulary.model != "llama");
    for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
        if (findInvalidUtf8(vocabulary.tokens[id]) != std::string_view::npos)
            throw Error(ErrorKind::Corrupt, fmt::format("tokenizer.ggml.tokens: token {} is not UTF-8", id),
                        {.file = file});
    }
    const auto checkId = [&](const char* key, std::optional<std::int32_t> id) {
        if (id && (*id < 0 || static_cast<std::size_t>(*id) >= vocabulary.tokens.size()))
            throw Error(ErrorKind::Corrupt,
                        fmt::format("tokenizer.ggml.{} is {}, outside the vocabulary of {}", key, *id,
                                    vocabulary.tokens.size()),
                        {.file = file});
    };
    checkId("bos_token_id", vocabulary.bos);
    checkId("eos_token_id", vocabulary.eos);
    checkId("unknown_token_id", vocabulary.unknown);
    checkId("padding_token_id", vocabulary.padding);
}

Json addedTokens(const GgufVocabulary& vocabulary)
{
    Json list = Json::array();
    for (std::size_t id = 0; id < vocabulary.types.size(); ++id) {
        const int type = vocabulary.types[id];
        if (type != Unknown && type != Control && type != UserDefined)
            continue;
        list.push_back({{"id", id},
                        {"content", vocabulary.tokens[id]},
                        {"single_word", false},
                        {"lstrip", false},
                        {"rstrip", false},
                        {"normalized", false},
                        {"special", type != UserDefined}});
    }
    return list;
}

Json emptyTokenizer()
{
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", Json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", nullptr},
            {"post_processor", nullptr},
            {"decoder", nullptr},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", false},
              {"byte_fallback", false},
              {"ignore_merges", false}}}};
}

void describeByteLevel(Json& rest, PreTokenization pre)
{
    rest["normalizer"] = std::move(pre.normalizer);
    rest["pre_tokenizer"] = std::move(pre.preTokenizer);
    rest["decoder"] = byteLevel(false, true);
    rest["model"]["ignore_merges"] = pre.ignoreMerges;
}

void describeSentencePiece(Json& rest, const GgufVocabulary& vocabulary)
{
    Json normalizers = Json::array();
    Json decoders = Json::array();
    if (vocabulary.addSpacePrefix)
        normalizers.push_back({{"type", "Prepend"}, {"prepend", lowLine}});
    normalizers.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", lowLine}});
    decoders.push_back({{"type", "Replace"}, {"pattern", {{"String", lowLine}}}, {"content", " "}});
    decoders.push_back({{"type", "ByteFallback"}});
    decoders.push_back({{"type", "Fuse"}});
    if (vocabulary.addSpacePrefix)
        decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    rest["normalizer"] = sequence("normalizers", std::move(normalizers));
    rest["decoder"] = sequence("decoders", std::move(decoders));
    if (vocabulary.unknown)
        rest["model"]["unk_token"] = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.unknown)];
    rest["model"]["fuse_unk"] = true;
    rest["model"]["byte_fallback"] =
        std::find(vocabulary.types.begin(), vocabulary.types.end(), Byte) != vocabulary.types.end();
}

} // namespace

TokenizerJson toTokenizerJson(const GgufVocabulary& given, const std::filesystem::path& file)
{
    if (given.model != "gpt2" && given.model != "llama")
        throw Error(ErrorKind::Unsupported,
                    fmt::format("tokenizer.ggml.model \"{}\"; \"gpt2\" and \"llama\" are supported", given.model),
                    {.file = file});
    if (given.tokens.empty())
        throw Error(ErrorKind::Corrupt, "tokenizer.ggml.tokens is missing or empty", {.file = file});
    checkTables(given, file);
    GgufVocabulary vocabulary = given;
    PreTokenization pre;
    if (vocabulary.model == "gpt2")
        pre = preTokenizationOf(vocabulary.pre, file);
    if (vocabulary.types.empty())
        vocabulary.types.assign(vocabulary.tokens.size(), Normal);
    for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
        if (vocabulary.tokens[id].empty())
            vocabulary.tokens[id] = fmt::format("[EMPTY_{}]", id);
    }

    TokenizerJson json;
    json.rest = emptyTokenizer();
    json.vocabulary.reserve(vocabulary.tokens.size());
    for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
        json.vocabulary.emplace_back(vocabulary.tokens[id], static_cast<std::int64_t>(id));
    json.rest["added_tokens"] = addedTokens(vocabulary);
    const auto token = [&](std::optional<std::int32_t> id, bool wanted) {
        return wanted && id ? std::optional<VocabularyEntry>({vocabulary.tokens[static_cast<std::size_t>(*id)], *id})
                            : std::nullopt;
    };
    json.rest["post_processor"] =
        templateProcessing(token(vocabulary.bos, vocabulary.addBos.value_or(vocabulary.model == "llama" || pre.addBos)),
                           token(vocabulary.eos, vocabulary.addEos));
    if (json.rest["post_processor"].is_null() && vocabulary.model == "gpt2")
        json.rest["post_processor"] = byteLevel(true, true);
    if (vocabulary.model == "gpt2") {
        describeByteLevel(json.rest, std::move(pre));
        json.merges.reserve(vocabulary.merges.size());
        for (std::size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
            if (findInvalidUtf8(vocabulary.merges[rank]) != std::string_view::npos)
                throw Error(ErrorKind::Corrupt, fmt::format("tokenizer.ggml.merges: merge {} is not UTF-8", rank),
                            {.file = file});
            json.merges.push_back(splitMerge(vocabulary.merges[rank], rank, file));
        }
    } else {
        describeSentencePiece(json.rest, vocabulary);
        json.merges = mergesOfScores(vocabulary, vocabulary.tokens, file);
    }
    return json;
}

bool hasUnknownPreTokenizer(const GgufVocabulary& vocabulary)
{
    return vocabulary.model == "gpt2" && !knownPreTokenization(vocabulary.pre);
}

TokenRoles rolesOf(const GgufVocabulary& vocabulary)
{
    const auto token = [&](std::optional<std::int32_t> id) -> std::optional<std::string> {
        if (!id || *id < 0 || static_cast<std::size_t>(*id) >= vocabulary.tokens.size())
            return std::nullopt;
        return vocabulary.tokens[static_cast<std::size_t>(*id)];
    };
    return {token(vocabulary.bos), token(vocabulary.eos), token(vocabulary.unknown), token(vocabulary.padding)};
}

TokenizerJson toTokenizerJson(std::vector<VocabularyEntry> vocabulary,
                              std::vector<std::pair<std::string, std::string>> merges, VocabularyFamily family,
                              bool addPrefixSpace)
{
    TokenizerJson json;
    json.rest = emptyTokenizer();
    json.rest["pre_tokenizer"] = byteLevel(addPrefixSpace, true);
    json.rest["post_processor"] = byteLevel(addPrefixSpace, true);
    json.rest["decoder"] = byteLevel(addPrefixSpace, true);
    if (family == VocabularyFamily::Qwen2) {
        json.rest["normalizer"] = {{"type", "NFC"}};
        json.rest["pre_tokenizer"] =
            sequence("pretokenizers", Json::array({split(qwen2Pattern), byteLevel(addPrefixSpace, false)}));
    }
    json.vocabulary = std::move(vocabulary);
    json.merges = std::move(merges);
    return json;
}

Json templateProcessing(const std::optional<VocabularyEntry>& before, const std::optional<VocabularyEntry>& behind)
{
    if (!before && !behind)
        return nullptr;
    Json single = Json::array();
    Json pair = Json::array();
    Json special = Json::object();
    const auto add = [&](const std::optional<VocabularyEntry>& token, int type) {
        if (!token)
            return;
        const auto& [text, id] = *token;
        const Json piece = {{"SpecialToken", {{"id", text}, {"type_id", type}}}};
        if (type == 0)
            single.push_back(piece);
        pair.push_back(piece);
        special[text] = {{"id", text}, {"ids", Json::array({id})}, {"tokens", Json::array({text})}};
    };
    for (int type = 0; type < 2; ++type) {
        add(before, type);
        const Json text = {{"Sequence", {{"id", type == 0 ? "A" : "B"}, {"type_id", type}}}};
        if (type == 0)
            single.push_back(text);
        pair.push_back(text);
        add(behind, type);
    }
    return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

} // namespace rankwright
