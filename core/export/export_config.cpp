#include "core/export/export_config.h"

#include "core/base/error.h"
#include "core/base/version.h"
#include "core/model/architecture.h"
#include "core/model/forward.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <string>

namespace rankwright {

namespace {

constexpr const char* codeModule = "modeling_rankwright";

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

/// The source's value of a setting that changes no output, such as a dropout of training.
void copyValue(const Model& model, const char* key, const Json& otherwise, Json& json)
{
    json[key] = sourceValue(model, key, otherwise);
}

std::string_view activationName(Activation activation)
{
    switch (activation) {
    case Activation::Silu:
        return "silu";
    case Activation::Relu:
        return "relu";
    case Activation::GeluTanh:
        break;
    }
    return "gelu_new";
}

void addRotaryFamily(const Model& model, const ModelConfig& config, Json& json)
{
    json["hidden_size"] = config.hiddenSize;
    json["intermediate_size"] = config.intermediateSize;
    json["num_hidden_layers"] = config.blocks;
    json["num_attention_heads"] = config.heads;
    json["num_key_value_heads"] = config.keyValueHeads;
    json["head_dim"] = config.headWidth;
    json["max_position_embeddings"] = config.contextLength;
    json["hidden_act"] = activationName(config.activation);
    json["rms_norm_eps"] = shortest(config.normEpsilon);
    const Json scaling = ropeScaling(model);
    json["rope_theta"] = config.ropeTheta;
    json["rope_scaling"] = scaling;
    json["rope_parameters"] = scaling.is_null() ? Json{{"rope_type", "default"}} : scaling;
    json["rope_parameters"]["rope_theta"] = config.ropeTheta;
    if (config.architecture == "llama" || config.architecture == "qwen3")
        json["attention_bias"] = config.outputBias;
    if (config.architecture == "llama") {
        json["mlp_bias"] = config.mlpBias;
        json["pretraining_tp"] = 1;
    } else {
        json["sliding_window"] = config.slidingWindow ? Json(*config.slidingWindow) : Json(nullptr);
    }
    if (config.architecture == "qwen2" || config.architecture == "qwen3")
        json["use_sliding_window"] = false;
    copyValue(model, "attention_dropout", 0.0, json);
    copyValue(model, "initializer_range", 0.02, json);
}

void addOpt(const Model& model, const ModelConfig& config, Json& json)
{
    json["hidden_size"] = config.hiddenSize;
    json["word_embed_proj_dim"] = config.hiddenSize;
    json["ffn_dim"] = config.intermediateSize;
    json["num_hidden_layers"] = config.blocks;
    json["num_attention_heads"] = config.heads;
    json["max_position_embeddings"] = config.contextLength;
    json["activation_function"] = activationName(config.activation);
    json["do_layer_norm_before"] = true;
    json["enable_bias"] = config.outputBias;
    json["layer_norm_elementwise_affine"] = true;
    copyValue(model, "dropout", 0.1, json);
    copyValue(model, "attention_dropout", 0.0, json);
    copyValue(model, "layerdrop", 0.0, json);
    copyValue(model, "init_std", 0.02, json);
}

void addGpt2(const Model& model, const ModelConfig& config, Json& json)
{
    json["n_embd"] = config.hiddenSize;
    json["n_inner"] = config.intermediateSize;
    json["n_layer"] = config.blocks;
    json["n_head"] = config.heads;
    json["n_positions"] = config.contextLength;
    json["activation_function"] = activationName(config.activation);
    json["layer_norm_epsilon"] = shortest(config.normEpsilon);
    for (const char* key : {"resid_pdrop", "embd_pdrop", "attn_pdrop"})
        copyValue(model, key, 0.1, json);
    copyValue(model, "initializer_range", 0.02, json);
}

} // namespace

Json exportedConfig(const Model& model, const ModelConfig& config, DType dtype, const Json& structures)
{
    const Architecture& architecture = architectureOf(config);
    const bool custom = !structures.empty();
    Json json;
    json["architectures"] = Json::array({fmt::format("{}{}", custom ? "Rankwright" : "", architecture.causalClass)});
    json["model_type"] = fmt::format("{}{}", custom ? "rankwright_" : "", architecture.modelType);
    if (custom)
        json["auto_map"] = {
            {"AutoConfig", fmt::format("{}.Rankwright{}Config", codeModule, architecture.stem)},
            {"AutoModel", fmt::format("{}.Rankwright{}Model", codeModule, architecture.stem)},
            {"AutoModelForCausalLM", fmt::format("{}.Rankwright{}", codeModule, architecture.causalClass)}};
    json["vocab_size"] = config.vocabularySize;
    json["tie_word_embeddings"] = config.tiedHead;
    if (config.architecture == "opt")
        addOpt(model, config, json);
    else if (config.architecture == "gpt2")
        addGpt2(model, config, json);
    else
        addRotaryFamily(model, config, json);
    json["use_cache"] = true;
    copyValue(model, "bos_token_id", tokenValue(config.bosToken), json);
    copyValue(model, "eos_token_id", tokenValue(config.eosToken), json);
    copyValue(model, "pad_token_id", nullptr, json);
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
