#include "core/export/export_config.h"

#include "core/base/error.h"
#include "core/base/version.h"
#include "core/model/forward.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <string>

namespace rankwright {

namespace {

constexpr const char* codeModule = "modeling_rankwright_llama";

/// The decimal number that names this float, not its longer binary value.
double shortest(float value)
{
    return std::stod(fmt::format("{}", value));
}

Json llama3Scaling(double factor, double low, double high, std::size_t original)
{
    return {{"rope_type", "llama3"},
            {"factor", factor},
            {"low_freq_factor", low},
            {"high_freq_factor", high},
            {"original_max_position_embeddings", original}};
}

/// The llama3 scaling whose divisors a GGUF file lists: the files of Llama 3.1 and later state only those, all made
/// with the frequency factors 1 and 4 and an original context of 8192.
Json scalingOfFactors(const Model& model)
{
    const std::vector<float>& factors = model.config().ropeScaling->factors;
    ModelConfig candidate = model.config();
    RopeScaling& scaling = candidate.ropeScaling.emplace();
    scaling.kind = "llama3";
    scaling.factor = std::round(static_cast<double>(*std::max_element(factors.begin(), factors.end())) * 1e3) / 1e3;
    // Position 1 has the angles themselves.
    const RotaryTable wanted = makeRotaryTable(model.config(), 2);
    const RotaryTable found = makeRotaryTable(candidate, 2);
    for (std::size_t j = 0; j < factors.size(); ++j) {
        if (std::abs(wanted.sines(1, j) - found.sines(1, j)) > 1e-7F + 1e-5F * std::abs(wanted.sines(1, j)))
            throw Error(
                ErrorKind::Unsupported,
                fmt::format("rotary factor {} is {}, which no llama3 scaling of the original context 8192 gives; "
                            "config.json cannot state it",
                            j, factors[j]),
                {.file = model.checkpoint().path(), .tensor = "rope_freqs.weight"});
    }
    return llama3Scaling(scaling.factor, scaling.lowFrequencyFactor, scaling.highFrequencyFactor,
                         scaling.originalContext);
}

Json ropeScaling(const Model& model)
{
    const std::optional<RopeScaling>& scaling = model.config().ropeScaling;
    if (!scaling)
        return nullptr;
    if (scaling->kind == "factors")
        return scalingOfFactors(model);
    if (scaling->kind == "linear")
        return {{"rope_type", "linear"}, {"factor", scaling->factor}};
    return llama3Scaling(scaling->factor, scaling->lowFrequencyFactor, scaling->highFrequencyFactor,
                         scaling->originalContext);
}

std::string_view torchName(DType dtype)
{
    switch (dtype) {
    case DType::F16:
        return "float16";
    case DType::BF16:
        return "bfloat16";
    default:
        return "float32";
    }
}

/// The value as the source's config.json has it, e.g. a list of end-of-text tokens.
Json sourceValue(const Model& model, const char* key, const Json& otherwise)
{
    const Json* config = model.checkpoint().config();
    return config && !model.checkpoint().gguf() && config->contains(key) ? (*config)[key] : otherwise;
}

Json tokenValue(const std::optional<std::int32_t>& token)
{
    return token ? Json(*token) : Json(nullptr);
}

} // namespace

Json exportedConfig(const Model& model, DType dtype, const Json& structures, StockBiases biases)
{
    const ModelConfig& config = model.config();
    const bool custom = !structures.empty();
    Json json;
    json["architectures"] = Json::array({custom ? "RankwrightLlamaForCausalLM" : "LlamaForCausalLM"});
    json["model_type"] = custom ? "rankwright_llama" : "llama";
    if (custom)
        json["auto_map"] = {{"AutoConfig", fmt::format("{}.RankwrightLlamaConfig", codeModule)},
                            {"AutoModel", fmt::format("{}.RankwrightLlamaModel", codeModule)},
                            {"AutoModelForCausalLM", fmt::format("{}.RankwrightLlamaForCausalLM", codeModule)}};
    json["vocab_size"] = config.vocabularySize;
    json["hidden_size"] = config.hiddenSize;
    json["intermediate_size"] = config.intermediateSize;
    json["num_hidden_layers"] = config.blocks;
    json["num_attention_heads"] = config.heads;
    json["num_key_value_heads"] = config.keyValueHeads;
    json["head_dim"] = config.headWidth;
    json["max_position_embeddings"] = config.contextLength;
    json["hidden_act"] = "silu";
    json["rms_norm_eps"] = shortest(config.normEpsilon);
    const Json scaling = ropeScaling(model);
    json["rope_theta"] = config.ropeTheta;
    json["rope_scaling"] = scaling;
    json["rope_parameters"] = scaling.is_null() ? Json{{"rope_type", "default"}} : scaling;
    json["rope_parameters"]["rope_theta"] = config.ropeTheta;
    json["tie_word_embeddings"] = config.tiedHead;
    json["attention_bias"] = biases.attention;
    json["mlp_bias"] = biases.mlp;
    json["attention_dropout"] = sourceValue(model, "attention_dropout", 0.0);
    json["initializer_range"] = sourceValue(model, "initializer_range", 0.02);
    json["pretraining_tp"] = 1;
    json["use_cache"] = true;
    json["bos_token_id"] = sourceValue(model, "bos_token_id", tokenValue(config.bosToken));
    json["eos_token_id"] = sourceValue(model, "eos_token_id", tokenValue(config.eosToken));
    json["pad_token_id"] = sourceValue(model, "pad_token_id", nullptr);
    json["torch_dtype"] = torchName(dtype);
    if (custom)
        json["rankwright"] = {{"version", version()}, {"linears", structures}};
    return json;
}

Json exportedGenerationConfig(const Model& model)
{
    const std::filesystem::path source = model.checkpoint().folder() / "generation_config.json";
    std::error_code failure;
    if (!model.checkpoint().gguf() && std::filesystem::exists(source, failure))
        return readJson(source);
    const ModelConfig& config = model.config();
    Json json = {{"_from_model_config", true},
                 {"bos_token_id", sourceValue(model, "bos_token_id", tokenValue(config.bosToken))},
                 {"eos_token_id", sourceValue(model, "eos_token_id", tokenValue(config.eosToken))}};
    const Json padding = sourceValue(model, "pad_token_id", nullptr);
    if (!padding.is_null())
        json["pad_token_id"] = padding;
    return json;
}

} // namespace rankwright
