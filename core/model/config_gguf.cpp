#include "core/base/error.h"
#include "core/checkpoint/gguf.h"
#include "core/model/config_sources.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

class MetadataReader
{
public:
    MetadataReader(const GgufFile& gguf, const std::filesystem::path& file)
        : m_gguf(gguf)
        , m_file(file)
    {}

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
};

std::optional<RopeScaling> readScaling(const Checkpoint& checkpoint, const ModelConfig& config)
{
    const GgufFile& gguf = *checkpoint.gguf();
    const std::filesystem::path& file = checkpoint.files().front();
    const std::string kind = gguf.string("llama.rope.scaling.type").value_or("none");
    RopeScaling scaling;
    // Files of early converters have rope.scale_linear alone.
    const std::optional<double> early = gguf.real("llama.rope.scale_linear");
    if (kind == "linear" || (kind == "none" && early && *early != 1.0)) {
        scaling.kind = "linear";
        scaling.factor = gguf.real("llama.rope.scaling.factor").value_or(early.value_or(0.0));
        if (checkpoint.find("rope_freqs.weight"))
            throw Error(ErrorKind::Unsupported, "a linear rotary scaling beside rotary factors is not supported",
                        {.file = file, .tensor = "rope_freqs.weight"});
        return scaling;
    }
    if (kind != "none")
        throw Error(
            ErrorKind::Unsupported,
            fmt::format("rotary scaling \"{}\" is not known; known are none, linear and rope_freqs.weight", kind),
            {.file = file});
    if (const TensorInfo* tensor = checkpoint.find("rope_freqs.weight")) {
        scaling.kind = "factors";
        scaling.factors = checkpoint.readVector(*tensor);
        if (scaling.factors.size() != config.headWidth / 2)
            throw Error(
                ErrorKind::Mismatch,
                fmt::format("{} rotary factors for a head width of {}", scaling.factors.size(), config.headWidth),
                {.file = file, .tensor = tensor->name});
        for (const float factor : scaling.factors) {
            if (!(factor > 0.0F))
                throw Error(ErrorKind::Corrupt, fmt::format("a rotary factor is {}", factor),
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
    const std::string architecture = gguf.string("general.architecture").value_or("");
    if (architecture != "llama")
        reader.refuse(ErrorKind::Unsupported,
                      fmt::format("general.architecture \"{}\" is not supported; supported is llama", architecture));
    if (gguf.integer("llama.expert_count").value_or(0) > 0)
        reader.refuse(ErrorKind::Unsupported, "mixtures of experts (llama.expert_count) are not supported");

    ModelConfig config;
    config.architecture = "llama";
    config.hiddenSize = reader.needSize("llama.embedding_length");
    config.intermediateSize = reader.needSize("llama.feed_forward_length");
    config.blocks = reader.needSize("llama.block_count");
    config.heads = reader.needSize("llama.attention.head_count");
    config.keyValueHeads = reader.size("llama.attention.head_count_kv").value_or(config.heads);
    config.contextLength = reader.needSize("llama.context_length");
    if (const std::optional<std::size_t> width = reader.size("llama.attention.key_length"))
        config.headWidth = *width;
    else if (config.hiddenSize % config.heads == 0)
        config.headWidth = config.hiddenSize / config.heads;
    else
        reader.refuse(ErrorKind::Corrupt, fmt::format("the embedding length {} is not a multiple of {} heads",
                                                      config.hiddenSize, config.heads));
    if (const std::size_t width = reader.size("llama.attention.value_length").value_or(config.headWidth);
        width != config.headWidth)
        reader.refuse(
            ErrorKind::Unsupported,
            fmt::format("values of width {} beside keys of width {} are not supported", width, config.headWidth));
    if (const std::size_t width = reader.size("llama.rope.dimension_count").value_or(config.headWidth);
        width != config.headWidth)
        reader.refuse(ErrorKind::Unsupported,
                      fmt::format("a partial rotary embedding ({} of {}) is not supported", width, config.headWidth));
    const std::optional<double> epsilon = gguf.real("llama.attention.layer_norm_rms_epsilon");
    if (!epsilon)
        reader.refuse(ErrorKind::Corrupt, "llama.attention.layer_norm_rms_epsilon is missing");
    config.normEpsilon = static_cast<float>(*epsilon);
    config.ropeTheta = gguf.real("llama.rope.freq_base").value_or(config.ropeTheta);
    config.ropeScaling = readScaling(checkpoint, config);

    const TensorInfo& embedding = checkpoint.at("token_embd.weight");
    if (embedding.shape.size() != 2)
        throw Error(ErrorKind::Mismatch, fmt::format("the embedding has the shape {}", shapeText(embedding.shape)),
                    {.file = file, .tensor = embedding.name});
    config.vocabularySize = reader.size("llama.vocab_size").value_or(embedding.shape[0]);
    config.tiedHead = !checkpoint.find("output.weight");
    config.queryKeyValueBias = checkpoint.find("blk.0.attn_q.bias") != nullptr;
    config.outputBias = checkpoint.find("blk.0.attn_output.bias") != nullptr;
    config.mlpBias = checkpoint.find("blk.0.ffn_gate.bias") != nullptr;
    config.bosToken = reader.token("tokenizer.ggml.bos_token_id");
    config.eosToken = reader.token("tokenizer.ggml.eos_token_id");
    for (const std::optional<std::int32_t>& end : {config.eosToken, reader.token("tokenizer.ggml.eot_token_id")}) {
        if (end)
            config.endTokens.push_back(*end);
    }
    return config;
}

} // namespace rankwright
