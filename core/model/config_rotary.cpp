#include "core/model/config_sources.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace rankwright {

namespace {

/// What transformers takes where config.json says nothing; no number: the number of heads, hidden size / heads.
struct Defaults
{
    std::size_t context = 2048;
    std::optional<std::size_t> keyValueHeads = {};
    std::optional<std::size_t> headWidth = {};
    std::optional<std::int32_t> bosToken = {};
    std::optional<std::int32_t> eosToken = {};
};

Defaults defaultsOf(const std::string& architecture)
{
    if (architecture == "mistral")
        return {.context = std::size_t{4096} * 32, .keyValueHeads = 8, .bosToken = 1, .eosToken = 2};
    if (architecture == "qwen2")
        return {.context = 32768, .keyValueHeads = 32};
    if (architecture == "qwen3")
        return {.context = 32768, .keyValueHeads = 32, .headWidth = 128};
    return {.bosToken = 1, .eosToken = 2};
}

/// What llama3 and dynamic scaling start from: stated in the scaling, or beside it as transformers 5 also has it, else
/// `context`, that of the whole model.
std::size_t readOriginalContext(const ConfigReader& model, const ConfigReader& scaling, std::size_t context)
{
    constexpr const char* key = "original_max_position_embeddings";
    const std::optional<std::size_t> inner = scaling.size(key);
    const std::optional<std::size_t> outer = model.size(key);
    if (inner && outer && *inner != *outer)
        model.refuse(key, fmt::format("{} disagrees with {} of the rotary scaling; keep one of them", *outer, *inner));
    return inner ? *inner : outer.value_or(context);
}

/// `context`: of the whole model.
std::optional<RopeScaling> readScaling(const ConfigReader& model, const ConfigReader& reader, std::size_t context)
{
    const std::string kind = reader.string("rope_type", reader.string("type", "default"));
    if (reader.string("type", kind) != kind)
        reader.refuse("rope_type", fmt::format("\"{}\" and type \"{}\" disagree", kind, reader.string("type", "")));
    if (kind == "default")
        return {};
    // Dynamic scaling changes nothing within the context, and no text is longer here.
    if (kind == "dynamic" && reader.needReal("factor") >= 1.0 && readOriginalContext(model, reader, context) == context)
        return {};
    if (kind != "linear" && kind != "llama3")
        reader.unsupported(
            fmt::format("rotary scaling \"{}\" is not known; known are default, linear, llama3 and dynamic with the "
                        "context of the model",
                        kind));
    RopeScaling scaling;
    scaling.kind = kind;
    scaling.factor = reader.needReal("factor");
    if (kind == "llama3") {
        scaling.lowFrequencyFactor = reader.needReal("low_freq_factor");
        scaling.highFrequencyFactor = reader.needReal("high_freq_factor");
        scaling.originalContext = readOriginalContext(model, reader, context);
    }
    return scaling;
}

void requireWholeRotation(const ConfigReader& reader)
{
    if (reader.real("partial_rotary_factor", 1.0) != 1.0)
        reader.unsupported("a partial rotary embedding is not supported");
}

struct Rotary
{
    double theta = 0.0;
    std::optional<RopeScaling> scaling;
};

bool isSame(const Rotary& a, const Rotary& b)
{
    const auto values = [](const RopeScaling& scaling) {
        return std::tie(scaling.kind, scaling.factor, scaling.lowFrequencyFactor, scaling.highFrequencyFactor,
                        scaling.originalContext);
    };
    if (a.theta != b.theta || a.scaling.has_value() != b.scaling.has_value())
        return false;
    return !a.scaling || values(*a.scaling) == values(*b.scaling);
}

/// What `key` states, with the rope_theta of the model where it has none.
std::optional<Rotary> readRotaryPart(const ConfigReader& reader, const char* key, const ModelConfig& config)
{
    const Json* value = reader.find(key);
    if (!value)
        return {};
    if (!value->is_object())
        reader.refuse(key, "must be an object");
    for (const auto& [kind, inner] : value->items())
        if (inner.is_object())
            reader.unsupported(fmt::format("{} by kind of attention, \"{}\", is not supported", key, kind));
    const ConfigReader part(*value, reader.file());
    requireWholeRotation(part);
    return Rotary{part.real("rope_theta", config.ropeTheta), readScaling(reader, part, config.contextLength)};
}

/// rope_theta and rope_scaling of transformers 4, rope_parameters of transformers 5.
void readRotary(const ConfigReader& reader, ModelConfig& config)
{
    config.ropeTheta = reader.real("rope_theta", config.ropeTheta);
    requireWholeRotation(reader);
    const std::optional<Rotary> scaling = readRotaryPart(reader, "rope_scaling", config);
    const std::optional<Rotary> parameters = readRotaryPart(reader, "rope_parameters", config);
    // Versions of transformers take the one or the other.
    if (scaling && parameters && !isSame(*scaling, *parameters))
        reader.refuse("rope_scaling", "disagrees with rope_parameters; keep one of them");
    if (const std::optional<Rotary>& stated = parameters ? parameters : scaling) {
        // Which of two bases counts differs between versions too.
        if (reader.find("rope_theta") && stated->theta != config.ropeTheta)
            reader.refuse("rope_theta", fmt::format("{} disagrees with {} of {}; keep one of them", config.ropeTheta,
                                                    stated->theta, parameters ? "rope_parameters" : "rope_scaling"));
        config.ropeTheta = stated->theta;
        config.ropeScaling = stated->scaling;
    }
}

/// Positions that a query sees, where they are fewer than the context.
void readWindow(const ConfigReader& reader, ModelConfig& config)
{
    if (config.architecture == "mistral") {
        // A missing window is 4096 to transformers, null is none.
        const std::optional<std::size_t> window =
            reader.has("sliding_window") ? reader.size("sliding_window") : std::optional<std::size_t>(4096);
        if (window && *window < config.contextLength)
            config.slidingWindow = window;
        return;
    }
    if (config.architecture == "llama")
        return;
    // Which blocks of a Qwen model have the window differs between versions of transformers.
    const std::size_t window = reader.size("sliding_window").value_or(4096);
    const Json* const types = reader.find("layer_types");
    const bool someSlide =
        types && types->is_array() && std::ranges::find(*types, Json("sliding_attention")) != types->end();
    if ((reader.boolean("use_sliding_window", false) || someSlide) && window < config.contextLength)
        reader.unsupported(fmt::format("model_type \"{}\" with use_sliding_window, a window of {} in a context of {}, "
                                       "is not supported",
                                       config.architecture, window, config.contextLength));
}

void readBiases(const ConfigReader& reader, ModelConfig& config)
{
    // Mistral has none and Qwen2 has three whatever the file says.
    const bool stated = config.architecture == "llama" || config.architecture == "qwen3";
    const bool attention = stated && reader.boolean("attention_bias", false);
    config.queryKeyValueBias = attention || config.architecture == "qwen2";
    config.outputBias = attention;
    config.mlpBias = config.architecture == "llama" && reader.boolean("mlp_bias", false);
}

} // namespace

ModelConfig readRotaryConfig(const ConfigReader& reader, const std::string& architecture)
{
    const Defaults defaults = defaultsOf(architecture);
    const std::string activation = reader.string("hidden_act", "silu");
    if (activation != "silu" && activation != "swish")
        reader.unsupported(fmt::format("hidden_act \"{}\" is not supported, only silu", activation));
    ModelConfig config;
    config.architecture = architecture;
    config.hiddenSize = reader.needSize("hidden_size");
    config.intermediateSize = reader.needSize("intermediate_size");
    config.blocks = reader.needSize("num_hidden_layers");
    config.heads = reader.needSize("num_attention_heads");
    config.keyValueHeads =
        reader.size("num_key_value_heads")
            .value_or(reader.has("num_key_value_heads") ? config.heads : defaults.keyValueHeads.value_or(config.heads));
    config.vocabularySize = reader.needSize("vocab_size");
    config.contextLength = reader.size("max_position_embeddings").value_or(defaults.context);
    config.normEpsilon = static_cast<float>(reader.real("rms_norm_eps", 1e-6));
    if (const std::optional<std::size_t> width = reader.size("head_dim"))
        config.headWidth = *width;
    else if (defaults.headWidth && !reader.has("head_dim"))
        config.headWidth = *defaults.headWidth;
    else if (config.hiddenSize % config.heads == 0)
        config.headWidth = config.hiddenSize / config.heads;
    else
        reader.refuse("hidden_size", fmt::format("{} is not a multiple of {} heads, and there is no head_dim",
                                                 config.hiddenSize, config.heads));
    readRotary(reader, config);
    readWindow(reader, config);
    readBiases(reader, config);
    config.queryKeyNorm = architecture == "qwen3";
    config.tiedHead = reader.boolean("tie_word_embeddings", false);
    readTokens(reader, config, defaults.bosToken, defaults.eosToken);
    return config;
}

} // namespace rankwright
