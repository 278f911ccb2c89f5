#include "core/base/error.h"
#include "core/checkpoint/gguf.h"
#include "core/model/config_sources.h"

#include <algorithm>
#include <array>
#include <fmt/ranges.h>

namespace rankwright {

namespace {

/// Families whose metadata differ in their prefix only.
constexpr std::array<std::string_view, 3> families = {"llama", "qwen2", "qwen3"};

class MetadataReader
{
public:
    /// Throws Error(Unsupported) for a family that is not known.
    MetadataReader(const GgufFile& gguf, const std::filesystem::path& file)
        : m_gguf(gguf)
        , m_file(file)
        , m_family(gguf.string("general.architecture").value_or(""))
    {
        if (std::ranges::find(families, m_family) == families.end())
            refuse(ErrorKind::Unsupported, fmt::format("general.architecture \"{}\" is not supported; supported are {}",
                                                       m_family, fmt::join(families, ", ")));
    }

    /// general.architecture.
    const std::string& family() const { return m_family; }
    /// "llama.rope.freq_base" for "rope.freq_base".
    std::string keyOf(std::string_view name) const { return fmt::format("{}.{}", m_family, name); }

    [[noreturn]] void refuse(ErrorKind kind, const std::string& why) const { throw Error(kind, why, {.file = m_file}); }

    std::optional<std::size_t> size(const std::string& key) const
    {
        const std::optional<std::int64_t> value = m_gguf.integer(key);
        if (!value)
            return {};
        if (*value <= 0 || *value > largestConfigSize)
            refuse(ErrorKind::Corrupt,
                   fmt::format("{} must be an integer from 1 to {}, not {}", key, largestConfigSize, *value));
        return static_cast<std::size_t>(*value);
    }

    std::size_t needSize(const std::string& key) const
    {
        const std::optional<std::size_t> value = size(key);
        if (!value)
            refuse(ErrorKind::Corrupt, key + " is missing");
        return *value;
    }

    std::optional<std::int32_t> token(const std::string& key) const
    {
        const std::optional<std::int64_t> value = m_gguf.integer(key);
        if (value && (*value < 0 || *value > largestConfigSize))
            refuse(ErrorKind::Corrupt,
                   fmt::format("{} must be a token id from 0 to {}, not {}", key, largestConfigSize, *value));
        return value ? std::optional(static_cast<std::int32_t>(*value)) : std::nullopt;
    }

private:
    const GgufFile& m_gguf;
    const std::filesystem::path& m_file;
    std::string m_family;
};

std::optional<RopeScaling> readScaling(const Checkpoint& checkpoint, const MetadataReader& reader,
                                       const ModelConfig& config)
{
    const GgufFile& gguf = *checkpoint.gguf();
    const std::filesystem::path& file = checkpoint.files().front();
    // As llama.cpp: a factor without a type is of linear scaling; files of early converters have rope.scale_linear
    // alone.
    const std::string kind = gguf.string(reader.keyOf("rope.scaling.type")).value_or("linear");
    const double early = gguf.real(reader.keyOf("rope.scale_linear")).value_or(1.0);
    const double factor = gguf.real(reader.keyOf("rope.scaling.factor")).value_or(early);
    if (const double attention = gguf.real(reader.keyOf("rope.scaling.attn_factor")).value_or(1.0); attention != 1.0)
        reader.refuse(ErrorKind::Unsupported,
                      fmt::format("{} {}, attention that is scaled with the rotary embedding, is not supported",
                                  reader.keyOf("rope.scaling.attn_factor"), attention));
    RopeScaling scaling;
    if (kind == "linear" && factor != 1.0) {
        scaling.kind = "linear";
        scaling.factor = factor;
        if (checkpoint.find("rope_freqs.weight"))
            throw Error(ErrorKind::Unsupported, "a linear rotary scaling beside rotary factors is not supported",
                        {.file = file, .tensor = "rope_freqs.weight"});
        return scaling;
    }
    if (kind != "none" && kind != "linear")
        reader.refuse(
            ErrorKind::Unsupported,
            fmt::format("rotary scaling \"{}\" is not known; known are none, linear and rope_freqs.weight", kind));
    if (const TensorInfo* tensor = checkpoint.find("rope_freqs.weight")) {
        scaling.kind = "factors";
        scaling.factors = checkpoint.readVector(*tensor);
        if (scaling.factors.size() != config.headWidth / 2)
            throw Error(
                ErrorKind::Mismatch,
                fmt::format("{} rotary factors for a head width of {}", scaling.factors.size(), config.headWidth),
                {.file = file, .tensor = tensor->name});
        for (const float divisor : scaling.factors) {
            if (!(divisor > 0.0F))
                throw Error(ErrorKind::Corrupt, fmt::format("a rotary factor is {}", divisor),
                            {.file = file, .tensor = tensor->name});
        }
        return scaling;
    }
    return {};
}

} // namespace

ModelConfig readGgufConfig(const Checkpoint& checkpoint)
{
    const GgufFile& gguf = *checkpoint.gguf();
    const std::filesystem::path& file = checkpoint.files().front();
    const MetadataReader reader(gguf, file);
    const auto key = [&](std::string_view name) { return reader.keyOf(name); };
    ModelConfig config;
    config.architecture = reader.family();
    if (gguf.integer(key("expert_count")).value_or(0) > 0)
        reader.refuse(ErrorKind::Unsupported,
                      fmt::format("mixtures of experts ({}) are not supported", key("expert_count")));
    config.hiddenSize = reader.needSize(key("embedding_length"));
    config.intermediateSize = reader.needSize(key("feed_forward_length"));
    config.blocks = reader.needSize(key("block_count"));
    config.heads = reader.needSize(key("attention.head_count"));
    config.keyValueHeads = reader.size(key("attention.head_count_kv")).value_or(config.heads);
    config.contextLength = reader.needSize(key("context_length"));
    if (const std::optional<std::size_t> width = reader.size(key("attention.key_length")))
        config.headWidth = *width;
    else if (config.hiddenSize % config.heads == 0)
        config.headWidth = config.hiddenSize / config.heads;
    else
        reader.refuse(ErrorKind::Corrupt, fmt::format("the embedding length {} is not a multiple of {} heads",
                                                      config.hiddenSize, config.heads));
    if (const std::size_t width = reader.size(key("attention.value_length")).value_or(config.headWidth);
        width != config.headWidth)
        reader.refuse(
            ErrorKind::Unsupported,
            fmt::format("values of width {} beside keys of width {} are not supported", width, config.headWidth));
    if (const std::size_t width = reader.size(key("rope.dimension_count")).value_or(config.headWidth);
        width != config.headWidth)
        reader.refuse(ErrorKind::Unsupported,
                      fmt::format("a partial rotary embedding ({} of {}) is not supported", width, config.headWidth));
    const std::optional<double> epsilon = gguf.real(key("attention.layer_norm_rms_epsilon"));
    if (!epsilon)
        reader.refuse(ErrorKind::Corrupt, key("attention.layer_norm_rms_epsilon") + " is missing");
    config.normEpsilon = static_cast<float>(*epsilon);
    config.ropeTheta = gguf.real(key("rope.freq_base")).value_or(config.ropeTheta);
    config.ropeScaling = readScaling(checkpoint, reader, config);

    const TensorInfo& embedding = checkpoint.at("token_embd.weight");
    if (embedding.shape.size() != 2)
        throw Error(ErrorKind::Mismatch, fmt::format("the embedding has the shape {}", shapeText(embedding.shape)),
                    {.file = file, .tensor = embedding.name});
    config.vocabularySize = reader.size(key("vocab_size")).value_or(embedding.shape[0]);
    config.tiedHead = !checkpoint.find("output.weight");
    // Qwen2 has biases at q, k and v and nowhere else whatever the file holds, Qwen3 none.
    const bool free = config.architecture == "llama";
    config.queryKeyValueBias = free ? checkpoint.find("blk.0.attn_q.bias") != nullptr : config.architecture == "qwen2";
    config.outputBias = free && checkpoint.find("blk.0.attn_output.bias") != nullptr;
    config.mlpBias = free && checkpoint.find("blk.0.ffn_gate.bias") != nullptr;
    config.queryKeyNorm = config.architecture == "qwen3";
    config.bosToken = reader.token("tokenizer.ggml.bos_token_id");
    config.eosToken = reader.token("tokenizer.ggml.eos_token_id");
    for (const std::optional<std::int32_t>& end :
         {config.eosToken, reader.token("tokenizer.ggml.eot_token_id"), reader.token("tokenizer.ggml.eom_token_id")}) {
        if (end)
            config.endTokens.push_back(*end);
    }
    return config;
}

} // namespace rankwright
