#include "core/model/gguf_vocabulary.h"

#include "core/base/error.h"

#include <fmt/format.h>
#include <limits>

namespace rankwright {

namespace {

constexpr std::string_view prefix = "tokenizer.ggml.";

std::string keyOf(std::string_view name)
{
    return std::string(prefix).append(name);
}

std::int32_t narrow(std::int64_t value, const std::string& key, const std::filesystem::path& file)
{
    if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max())
        throw Error(ErrorKind::Corrupt, fmt::format("{} holds {}, which does not fit 32 bits", key, value),
                    {.file = file});
    return static_cast<std::int32_t>(value);
}

} // namespace

GgufVocabulary readGgufVocabulary(const GgufFile& gguf, const std::filesystem::path& file)
{
    GgufVocabulary vocabulary;
    const auto model = gguf.string(keyOf("model"));
    auto tokens = gguf.strings(keyOf("tokens"));
    if (!model || !tokens)
        throw Error(ErrorKind::NotFound, "the file holds no tokenizer (tokenizer.ggml.model and .tokens)",
                    {.file = file});
    vocabulary.model = *model;
    vocabulary.tokens = std::move(*tokens);
    vocabulary.pre = gguf.string(keyOf("pre")).value_or("");
    vocabulary.merges = gguf.strings(keyOf("merges")).value_or(std::vector<std::string>{});
    if (const auto types = gguf.integers(keyOf("token_type"))) {
        for (const std::int64_t type : *types)
            vocabulary.types.push_back(narrow(type, keyOf("token_type"), file));
    }
    if (const auto scores = gguf.reals(keyOf("scores"))) {
        for (const double score : *scores)
            vocabulary.scores.push_back(static_cast<float>(score));
    }
    const auto token = [&](std::string_view name) -> std::optional<std::int32_t> {
        const auto value = gguf.integer(keyOf(name));
        return value ? std::optional(narrow(*value, keyOf(name), file)) : std::nullopt;
    };
    vocabulary.bos = token("bos_token_id");
    vocabulary.eos = token("eos_token_id");
    vocabulary.unknown = token("unknown_token_id");
    vocabulary.padding = token("padding_token_id");
    vocabulary.addBos = gguf.boolean(keyOf("add_bos_token"));
    vocabulary.addEos = gguf.boolean(keyOf("add_eos_token")).value_or(false);
    vocabulary.addSpacePrefix = gguf.boolean(keyOf("add_space_prefix")).value_or(true);
    return vocabulary;
}

} // namespace rankwright
