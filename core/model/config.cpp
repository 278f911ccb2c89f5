#include "core/model/config.h"

#include "core/base/error.h"
#include "core/base/paths.h"
#include "core/checkpoint/gguf.h"
#include "core/model/architecture.h"
#include "core/model/config_sources.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

std::string supportedTypes()
{
    std::string names;
    for (const Architecture& architecture : architectures())
        names += fmt::format("{}{}", names.empty() ? "" : ", ", architecture.modelType);
    return names;
}

ModelConfig readHuggingFace(const Json& json, const std::filesystem::path& file)
{
    const ConfigReader reader(json, file);
    const std::string stated = reader.string("model_type", "");
    // Exports of Rankwright have types of their own.
    constexpr std::string_view exported = "rankwright_";
    const std::string type = stated.starts_with(exported) ? stated.substr(exported.size()) : stated;
    if (!findArchitecture(type))
        reader.unsupported(
            fmt::format("model_type \"{}\" is not supported; supported are {}", stated, supportedTypes()));
    if (reader.find("quantization_config"))
        reader.unsupported("weights packed by a quantization_config are not supported");
    // Embedding models made from decoders; transformers before version 5 takes no notice of the key.
    if (!reader.flag("is_causal", true))
        reader.unsupported("is_causal = false, attention to later tokens, is not supported");
    if (type == "opt")
        return readOptConfig(reader);
    if (type == "gpt2")
        return readGpt2Config(reader);
    return readRotaryConfig(reader, type);
}

/// What transformers' generate() goes by where the file exists.
void readGenerationConfig(const std::filesystem::path& file, ModelConfig& config)
{
    if (!isPresent(file))
        return;
    const Json json = readJson(file);
    const ConfigReader reader(json, file);
    if (std::vector<std::int32_t> ends = reader.tokens("eos_token_id"); !ends.empty())
        config.endTokens = std::move(ends);
    config.repetitionPenalty = static_cast<float>(reader.real("repetition_penalty", 1.0));
    if (!std::isfinite(config.repetitionPenalty) || config.repetitionPenalty <= 0.0F)
        reader.refuse("repetition_penalty", fmt::format("{} is not a number above 0", config.repetitionPenalty));
}

} // namespace

void readTokens(const ConfigReader& reader, ModelConfig& config, std::optional<std::int32_t> bosToken,
                std::optional<std::int32_t> eosToken)
{
    const auto read = [&](const char* key, std::optional<std::int32_t> otherwise) {
        std::vector<std::int32_t> ids = reader.tokens(key);
        if (!reader.has(key) && otherwise)
            ids.push_back(*otherwise);
        // A GPT-2 with a small vocabulary of its own often names 50256: such a token never comes.
        std::erase_if(ids, [&](std::int32_t id) { return static_cast<std::size_t>(id) >= config.vocabularySize; });
        return ids;
    };
    const std::vector<std::int32_t> bos = read("bos_token_id", bosToken);
    config.bosToken = bos.empty() ? std::nullopt : std::optional(bos.front());
    config.endTokens = read("eos_token_id", eosToken);
    config.eosToken = config.endTokens.empty() ? std::nullopt : std::optional(config.endTokens.front());
}

void checkModelConfig(const ModelConfig& config, const std::filesystem::path& file)
{
    const auto refuse = [&](const std::string& why) { throw Error(ErrorKind::Corrupt, why, {.file = file}); };
    if (config.heads % config.keyValueHeads != 0)
        refuse(fmt::format("{} heads cannot share {} key/value heads", config.heads, config.keyValueHeads));
    if (config.positions == PositionKind::Rotary && config.headWidth % 2 != 0)
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
