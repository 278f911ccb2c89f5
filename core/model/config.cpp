#include "core/model/config.h"

#include "core/base/error.h"
#include "core/checkpoint/gguf.h"
#include "core/model/config_check.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

constexpr std::size_t largestSize = std::size_t{1} << 31U;

// What transformers takes where config.json of a Mistral model says nothing; for Llama see readHuggingFace().
constexpr std::size_t mistralContext = std::size_t{4096} * 32;
constexpr std::size_t mistralKeyValueHeads = 8;

/// Typed access to config.json with errors that name the key.
class ConfigReader
{
public:
    ConfigReader(const Json& json, std::filesystem::path file)
        : m_json(json)
        , m_file(std::move(file))
    {
        if (!json.is_object())
            throw Error(ErrorKind::Corrupt, "the configuration is not a JSON object", {.file = m_file});
    }

    const std::filesystem::path& file() const { return m_file; }

    const Json* find(const std::string& key) const
    {
        const auto found = m_json.find(key);
        return found == m_json.end() || found->is_null() ? nullptr : &*found;
    }

    [[noreturn]] void refuse(const std::string& key, const std::string& why) const
    {
        throw Error(ErrorKind::Corrupt, fmt::format("{} {}", key, why), {.file = m_file});
    }

    std::optional<std::size_t> size(const std::string& key) const
    {
        const Json* value = find(key);
        if (!value)
            return {};
        if (!value->is_number_unsigned() || value->get<std::uint64_t>() == 0 ||
            value->get<std::uint64_t>() >= largestSize)
            refuse(key, fmt::format("must be a positive integer, not {}", dumpJson(*value)));
        return value->get<std::size_t>();
    }

    std::size_t needSize(const std::string& key) const
    {
        const std::optional<std::size_t> value = size(key);
        if (!value)
            refuse(key, "is missing");
        return *value;
    }

    double real(const std::string& key, double otherwise) const
    {
        const Json* value = find(key);
        if (!value)
            return otherwise;
        if (!value->is_number() || !std::isfinite(value->get<double>()))
            refuse(key, fmt::format("must be a finite number, not {}", dumpJson(*value)));
        return value->get<double>();
    }

    double needReal(const std::string& key) const
    {
        if (!find(key))
            refuse(key, "is missing");
        return real(key, 0.0);
    }

    bool boolean(const std::string& key, bool otherwise) const
    {
        const Json* value = find(key);
        if (!value)
            return otherwise;
        if (!value->is_boolean())
            refuse(key, fmt::format("must be true or false, not {}", dumpJson(*value)));
        return value->get<bool>();
    }

    std::string string(const std::string& key, const std::string& otherwise) const
    {
        const Json* value = find(key);
        if (!value)
            return otherwise;
        if (!value->is_string())
            refuse(key, fmt::format("must be a string, not {}", dumpJson(*value)));
        return value->get<std::string>();
    }

    bool has(const std::string& key) const { return m_json.contains(key); }

    /// A token id or a list of them; -1 stands for none.
    std::vector<std::int32_t> tokens(const std::string& key) const
    {
        const Json* value = find(key);
        if (!value)
            return {};
        std::vector<std::int32_t> ids;
        for (const Json& id : value->is_array() ? *value : Json::array({*value})) {
            if (!id.is_number_integer() || id.get<std::int64_t>() < -1 ||
                id.get<std::int64_t>() >= static_cast<std::int64_t>(largestSize))
                refuse(key, fmt::format("must be a token id or a list of them, not {}", dumpJson(*value)));
            if (id.get<std::int64_t>() >= 0)
                ids.push_back(id.get<std::int32_t>());
        }
        return ids;
    }

private:
    const Json& m_json;
    std::filesystem::path m_file;
};

/// `context`: of the whole model, which transformers takes where the original one is not told.
std::optional<RopeScaling> readScaling(const ConfigReader& reader, std::size_t context)
{
    const std::string kind = reader.string("rope_type", reader.string("type", "default"));
    if (reader.string("type", kind) != kind)
        reader.refuse("rope_type", fmt::format("\"{}\" and type \"{}\" disagree", kind, reader.string("type", "")));
    if (kind == "default")
        return {};
    if (kind != "linear" && kind != "llama3")
        throw Error(ErrorKind::Unsupported,
                    fmt::format("rotary scaling \"{}\" is not known; known are default, linear and llama3", kind),
                    {.file = reader.file()});
    RopeScaling scaling;
    scaling.kind = kind;
    scaling.factor = reader.needReal("factor");
    if (kind == "llama3") {
        scaling.lowFrequencyFactor = reader.needReal("low_freq_factor");
        scaling.highFrequencyFactor = reader.needReal("high_freq_factor");
        scaling.originalContext = reader.size("original_max_position_embeddings").value_or(context);
    }
    return scaling;
}

void requireWholeRotation(const ConfigReader& reader)
{
    if (reader.real("partial_rotary_factor", 1.0) != 1.0)
        throw Error(ErrorKind::Unsupported, "a partial rotary embedding is not supported", {.file = reader.file()});
}

/// rope_theta and rope_scaling of transformers 4, rope_parameters of transformers 5.
void readRotary(const ConfigReader& reader, ModelConfig& config)
{
    config.ropeTheta = reader.real("rope_theta", config.ropeTheta);
    requireWholeRotation(reader);
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
        const Json* value = reader.find(key);
        if (!value)
            continue;
        if (!value->is_object())
            reader.refuse(key, "must be an object");
        const ConfigReader part(*value, reader.file());
        config.ropeTheta = part.real("rope_theta", config.ropeTheta);
        requireWholeRotation(part);
        if (const std::optional<RopeScaling> scaling = readScaling(part, config.contextLength))
            config.ropeScaling = scaling;
    }
}

void checkFamily(const ConfigReader& reader)
{
    const std::string type = reader.string("model_type", "");
    if (type != "llama" && type != "mistral" && type != "rankwright_llama")
        throw Error(ErrorKind::Unsupported,
                    fmt::format("model_type \"{}\" is not supported; supported are llama, and mistral without a "
                                "sliding window",
                                type),
                    {.file = reader.file()});
    if (type == "mistral") {
        // A missing window is 4096 to transformers, null is none.
        const std::optional<std::size_t> window =
            reader.has("sliding_window") ? reader.size("sliding_window") : std::optional<std::size_t>(4096);
        const std::size_t context = reader.size("max_position_embeddings").value_or(mistralContext);
        if (window && *window < context)
            throw Error(ErrorKind::Unsupported,
                        fmt::format("model_type \"mistral\" with a sliding window of {} in a context of {} is not "
                                    "supported",
                                    *window, context),
                        {.file = reader.file()});
    }
    const std::string activation = reader.string("hidden_act", "silu");
    if (activation != "silu" && activation != "swish")
        throw Error(ErrorKind::Unsupported, fmt::format("hidden_act \"{}\" is not supported, only silu", activation),
                    {.file = reader.file()});
    if (reader.find("quantization_config"))
        throw Error(ErrorKind::Unsupported, "weights packed by a quantization_config are not supported",
                    {.file = reader.file()});
}

ModelConfig readHuggingFace(const Json& json, const std::filesystem::path& file)
{
    const ConfigReader reader(json, file);
    checkFamily(reader);
    ModelConfig config;
    const bool mistral = reader.string("model_type", "") == "mistral";
    config.architecture = "llama";
    config.hiddenSize = reader.needSize("hidden_size");
    config.intermediateSize = reader.needSize("intermediate_size");
    config.blocks = reader.needSize("num_hidden_layers");
    config.heads = reader.needSize("num_attention_heads");
    config.keyValueHeads =
        reader.size("num_key_value_heads")
            .value_or(mistral && !reader.has("num_key_value_heads") ? mistralKeyValueHeads : config.heads);
    config.vocabularySize = reader.needSize("vocab_size");
    config.contextLength = reader.size("max_position_embeddings").value_or(mistral ? mistralContext : 2048);
    config.normEpsilon = static_cast<float>(reader.real("rms_norm_eps", 1e-6));
    if (const std::optional<std::size_t> width = reader.size("head_dim"))
        config.headWidth = *width;
    else if (config.hiddenSize % config.heads == 0)
        config.headWidth = config.hiddenSize / config.heads;
    else
        reader.refuse("hidden_size", fmt::format("{} is not a multiple of {} heads, and there is no head_dim",
                                                 config.hiddenSize, config.heads));
    readRotary(reader, config);
    config.tiedHead = reader.boolean("tie_word_embeddings", false);
    // Mistral has no biases whatever the file says.
    config.attentionBias = !mistral && reader.boolean("attention_bias", false);
    config.mlpBias = !mistral && reader.boolean("mlp_bias", false);
    const auto readTokens = [&](const std::string& key, std::int32_t otherwise) {
        std::vector<std::int32_t> ids = reader.tokens(key);
        if (!reader.has(key) && static_cast<std::size_t>(otherwise) < config.vocabularySize)
            ids.push_back(otherwise);
        return ids;
    };
    const std::vector<std::int32_t> bos = readTokens("bos_token_id", 1);
    config.bosToken = bos.empty() ? std::nullopt : std::optional(bos.front());
    config.endTokens = readTokens("eos_token_id", 2);
    config.eosToken = config.endTokens.empty() ? std::nullopt : std::optional(config.endTokens.front());
    return config;
}

/// What transformers' generate() goes by where the file exists.
void readGenerationConfig(const std::filesystem::path& file, ModelConfig& config)
{
    if (!std::filesystem::is_regular_file(file))
        return;
    const Json json = readJson(file);
    const ConfigReader reader(json, file);
    if (std::vector<std::int32_t> ends = reader.tokens("eos_token_id"); !ends.empty())
        config.endTokens = std::move(ends);
}

} // namespace

void checkModelConfig(const ModelConfig& config, const std::filesystem::path& file)
{
    const auto refuse = [&](const std::string& why) { throw Error(ErrorKind::Corrupt, why, {.file = file}); };
    if (config.heads % config.keyValueHeads != 0)
        refuse(fmt::format("{} heads cannot share {} key/value heads", config.heads, config.keyValueHeads));
    if (config.headWidth % 2 != 0)
        refuse(fmt::format("the head width {} is odd, so it has no rotary pairs", config.headWidth));
    if (!std::isfinite(config.normEpsilon) || config.normEpsilon < 0.0F)
        refuse(fmt::format("the epsilon of the norms is {}", config.normEpsilon));
    if (!std::isfinite(config.ropeTheta) || config.ropeTheta <= 0.0)
        refuse(fmt::format("the rotary base is {}", config.ropeTheta));
    if (config.ropeScaling) {
        const RopeScaling& scaling = *config.ropeScaling;
        if (!std::isfinite(scaling.factor) || scaling.factor <= 0.0)
            refuse(fmt::format("the factor of the rotary scaling is {}", scaling.factor));
        if (scaling.kind == "llama3" &&
            !(scaling.lowFrequencyFactor > 0.0 && scaling.highFrequencyFactor > scaling.lowFrequencyFactor))
            refuse(fmt::format("the rotary scaling has low_freq_factor {} and high_freq_factor {}",
                               scaling.lowFrequencyFactor, scaling.highFrequencyFactor));
    }
    for (const std::optional<std::int32_t>& token : {config.bosToken, config.eosToken}) {
        if (token && static_cast<std::size_t>(*token) >= config.vocabularySize)
            refuse(fmt::format("token {} lies outside the vocabulary of {}", *token, config.vocabularySize));
    }
}

ModelConfig readModelConfig(const Checkpoint& checkpoint)
{
    if (checkpoint.gguf()) {
        ModelConfig config = readGgufConfig(checkpoint);
        checkModelConfig(config, checkpoint.files().front());
        return config;
    }
    const std::filesystem::path file = checkpoint.folder() / "config.json";
    if (!checkpoint.config())
        throw Error(ErrorKind::NotFound, "there is no configuration beside the weights", {.file = file});
    ModelConfig config = readHuggingFace(*checkpoint.config(), file);
    readGenerationConfig(checkpoint.folder() / "generation_config.json", config);
    checkModelConfig(config, file);
    return config;
}

} // namespace rankwright
