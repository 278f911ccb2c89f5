#include "core/model/config.h"

#include "core/base/error.h"
#include "core/checkpoint/gguf.h"
#include "core/model/config_check.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

constexpr std::size_t largestSize = std::size_t{1} << 31U;

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

    /// A token id, or the first of a list of them.
    std::optional<std::int32_t> token(const std::string& key) const
    {
        const Json* value = find(key);
        if (value && value->is_array() && !value->empty())
            value = &value->front();
        if (!value)
            return {};
        if (!value->is_number_integer() || value->get<std::int64_t>() < -1 ||
            value->get<std::int64_t>() >= static_cast<std::int64_t>(largestSize))
            refuse(key, fmt::format("must be a token id, not {}", dumpJson(*value)));
        if (value->get<std::int64_t>() < 0)
            return {};
        return value->get<std::int32_t>();
    }

private:
    const Json& m_json;
    std::filesystem::path m_file;
};

std::optional<RopeScaling> readScaling(const Json& json, const std::filesystem::path& file)
{
    const ConfigReader reader(json, file);
    const std::string kind = reader.string("rope_type", reader.string("type", "default"));
    if (kind == "default")
        return {};
    if (kind != "linear" && kind != "llama3")
        throw Error(ErrorKind::Unsupported,
                    fmt::format("rotary scaling \"{}\" is not known; known are default, linear and llama3", kind),
                    {.file = file});
    RopeScaling scaling;
    scaling.kind = kind;
    scaling.factor = reader.real("factor", 0.0);
    scaling.lowFrequencyFactor = reader.real("low_freq_factor", scaling.lowFrequencyFactor);
    scaling.highFrequencyFactor = reader.real("high_freq_factor", scaling.highFrequencyFactor);
    scaling.originalContext = reader.size("original_max_position_embeddings").value_or(scaling.originalContext);
    return scaling;
}

void readRotary(const ConfigReader& reader, ModelConfig& config)
{
    config.ropeTheta = reader.real("rope_theta", config.ropeTheta);
    if (reader.real("partial_rotary_factor", 1.0) != 1.0)
        throw Error(ErrorKind::Unsupported, "a partial rotary embedding is not supported", {.file = reader.file()});
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
        const Json* value = reader.find(key);
        if (!value)
            continue;
        if (!value->is_object())
            reader.refuse(key, "must be an object");
        config.ropeTheta = ConfigReader(*value, reader.file()).real("rope_theta", config.ropeTheta);
        if (const std::optional<RopeScaling> scaling = readScaling(*value, reader.file()))
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
        const std::optional<std::size_t> window = reader.size("sliding_window");
        const std::size_t context = reader.size("max_position_embeddings").value_or(4096 * 32);
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
    config.architecture = "llama";
    config.hiddenSize = reader.needSize("hidden_size");
    config.intermediateSize = reader.needSize("intermediate_size");
    config.blocks = reader.needSize("num_hidden_layers");
    config.heads = reader.needSize("num_attention_heads");
    config.keyValueHeads = reader.size("num_key_value_heads").value_or(config.heads);
    config.vocabularySize = reader.needSize("vocab_size");
    config.contextLength = reader.size("max_position_embeddings").value_or(2048);
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
    config.attentionBias = reader.boolean("attention_bias", false);
    config.mlpBias = reader.boolean("mlp_bias", false);
    config.bosToken = reader.token("bos_token_id");
    config.eosToken = reader.token("eos_token_id");
    return config;
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
    checkModelConfig(config, file);
    return config;
}

} // namespace rankwright
