#include "core/base/error.h"
#include "core/model/config_sources.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

/// `key` must have this value, which is also what transformers takes where it is missing.
void requireFlag(const ConfigReader& reader, const char* key, bool value)
{
    if (reader.flag(key, value) != value)
        reader.unsupported(fmt::format("{} = {} is not supported", key, !value));
}

/// A size that transformers reads under two names.
std::optional<std::size_t> readSize(const ConfigReader& reader, const char* key, const char* alias)
{
    const std::optional<std::size_t> stated = reader.size(key);
    const std::optional<std::size_t> aliased = reader.size(alias);
    if (stated && aliased && *stated != *aliased)
        reader.refuse(key, fmt::format("{} disagrees with {} {}; keep one of them", *stated, alias, *aliased));
    return aliased ? aliased : stated;
}

void readActivation(const ConfigReader& reader, const std::string& otherwise, ModelConfig& config)
{
    const std::string name = reader.string("activation_function", otherwise);
    if (name == "relu")
        config.activation = Activation::Relu;
    else if (name == "gelu_new" || name == "gelu_pytorch_tanh")
        config.activation = Activation::GeluTanh;
    else if (name == "silu" || name == "swish")
        config.activation = Activation::Silu;
    else
        reader.unsupported(
            fmt::format("activation_function \"{}\" is not supported; known are relu, gelu_new and silu", name));
}

/// What both architectures share.
void finish(const ConfigReader& reader, std::int32_t bosToken, std::int32_t eosToken, ModelConfig& config)
{
    config.norm = NormKind::Layer;
    config.positions = PositionKind::Learned;
    config.gatedMlp = false;
    config.keyValueHeads = config.heads;
    if (config.hiddenSize % config.heads != 0)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("the hidden size {} is not a multiple of {} heads", config.hiddenSize, config.heads),
                    {.file = reader.file()});
    config.headWidth = config.hiddenSize / config.heads;
    config.tiedHead = reader.flag("tie_word_embeddings", true);
    readTokens(reader, config, bosToken, eosToken);
}

} // namespace

ModelConfig readOptConfig(const ConfigReader& reader)
{
    ModelConfig config;
    config.architecture = "opt";
    config.hiddenSize = reader.size("hidden_size").value_or(768);
    config.intermediateSize = reader.size("ffn_dim").value_or(3072);
    config.blocks = reader.size("num_hidden_layers").value_or(12);
    config.heads = reader.size("num_attention_heads").value_or(12);
    config.vocabularySize = reader.size("vocab_size").value_or(50272);
    config.contextLength = reader.size("max_position_embeddings").value_or(2048);
    readActivation(reader, "relu", config);
    requireFlag(reader, "do_layer_norm_before", true);
    requireFlag(reader, "_remove_final_layer_norm", false);
    requireFlag(reader, "layer_norm_elementwise_affine", true);
    const std::size_t width = reader.size("word_embed_proj_dim").value_or(config.hiddenSize);
    if (width != config.hiddenSize)
        reader.unsupported(
            fmt::format("word_embed_proj_dim {} beside hidden_size {} is not supported", width, config.hiddenSize));
    const bool biases = reader.flag("enable_bias", true);
    config.queryKeyValueBias = config.outputBias = config.mlpBias = biases;
    finish(reader, 2, 2, config);
    return config;
}

ModelConfig readGpt2Config(const ConfigReader& reader)
{
    ModelConfig config;
    config.architecture = "gpt2";
    config.hiddenSize = readSize(reader, "n_embd", "hidden_size").value_or(768);
    config.intermediateSize = reader.size("n_inner").value_or(4 * config.hiddenSize);
    config.blocks = readSize(reader, "n_layer", "num_hidden_layers").value_or(12);
    config.heads = readSize(reader, "n_head", "num_attention_heads").value_or(12);
    config.vocabularySize = reader.size("vocab_size").value_or(50257);
    config.contextLength = readSize(reader, "n_positions", "max_position_embeddings").value_or(1024);
    config.normEpsilon = static_cast<float>(reader.real("layer_norm_epsilon", 1e-5));
    readActivation(reader, "gelu_new", config);
    requireFlag(reader, "scale_attn_weights", true);
    requireFlag(reader, "scale_attn_by_inverse_layer_idx", false);
    requireFlag(reader, "add_cross_attention", false);
    config.queryKeyValueBias = config.outputBias = config.mlpBias = true;
    finish(reader, 50256, 50256, config);
    return config;
}

} // namespace rankwright
