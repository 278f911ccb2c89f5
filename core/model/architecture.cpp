#include "core/model/architecture.h"

#include "core/base/bytes.h"
#include "core/base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

namespace {

/// The names that Llama brought and its successors kept.
constexpr Architecture likeLlama(std::string_view modelType, std::string_view stem, std::string_view causalClass)
{
    return {.modelType = modelType,
            .stem = stem,
            .causalClass = causalClass,
            .prefix = "model.",
            .blocks = "layers",
            .embedding = "embed_tokens",
            .positions = "",
            .finalNorm = "norm",
            .attentionNorm = "input_layernorm",
            .mlpNorm = "post_attention_layernorm",
            .queryNorm = "self_attn.q_norm",
            .keyNorm = "self_attn.k_norm",
            .linears = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                        "mlp.up_proj", "mlp.down_proj"},
            .fused = ""};
}

constexpr std::array<Architecture, 6> known{
    likeLlama("llama", "Llama", "LlamaForCausalLM"),
    likeLlama("mistral", "Mistral", "MistralForCausalLM"),
    likeLlama("qwen2", "Qwen2", "Qwen2ForCausalLM"),
    likeLlama("qwen3", "Qwen3", "Qwen3ForCausalLM"),
    Architecture{
        .modelType = "opt",
        .stem = "OPT",
        .causalClass = "OPTForCausalLM",
        .prefix = "model.",
        .blocks = "decoder.layers",
        .embedding = "decoder.embed_tokens",
        .positions = "decoder.embed_positions",
        .finalNorm = "decoder.final_layer_norm",
        .attentionNorm = "self_attn_layer_norm",
        .mlpNorm = "final_layer_norm",
        .queryNorm = "",
        .keyNorm = "",
        .linears = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "", "fc1", "fc2"},
        .fused = "",
        .positionOffset = 2},
    Architecture{
        .modelType = "gpt2",
        .stem = "GPT2",
        .causalClass = "GPT2LMHeadModel",
        .prefix = "transformer.",
        .blocks = "h",
        .embedding = "wte",
        .positions = "wpe",
        .finalNorm = "ln_f",
        .attentionNorm = "ln_1",
        .mlpNorm = "ln_2",
        .queryNorm = "",
        .keyNorm = "",
        .linears = {"attn.c_attn.q", "attn.c_attn.k", "attn.c_attn.v", "attn.c_proj", "", "mlp.c_fc", "mlp.c_proj"},
        .fused = "attn.c_attn",
        .transposed = true},
};

} // namespace

std::span<const Architecture> architectures()
{
    return known;
}

const Architecture* findArchitecture(std::string_view modelType)
{
    const auto* const found = std::ranges::find(known, modelType, &Architecture::modelType);
    return found == known.end() ? nullptr : found;
}

const Architecture& architectureOf(const ModelConfig& config)
{
    const Architecture* found = findArchitecture(config.architecture);
    if (!found)
        throw Error(ErrorKind::Internal, fmt::format("architecture \"{}\" has no names", config.architecture));
    return *found;
}

std::string blockName(const ModelConfig& config, std::size_t block)
{
    const Architecture& architecture = architectureOf(config);
    return fmt::format("{}{}.{}", architecture.prefix, architecture.blocks, block);
}

std::string linearName(const ModelConfig& config, std::size_t block, Role role)
{
    return fmt::format("{}.{}", blockName(config, block),
                       architectureOf(config).linears.at(static_cast<std::size_t>(role)));
}

bool hasRole(const ModelConfig& config, Role role)
{
    return config.gatedMlp || role != Role::Gate;
}

bool hasBias(const ModelConfig& config, Role role)
{
    switch (role) {
    case Role::Q:
    case Role::K:
    case Role::V:
        return config.queryKeyValueBias;
    case Role::O:
        return config.outputBias;
    case Role::Gate:
    case Role::Up:
    case Role::Down:
        break;
    }
    return config.mlpBias;
}

LinearShape roleShape(const ModelConfig& config, Role role)
{
    const std::size_t queries = checkedProduct(config.heads, config.headWidth, "heads x head width");
    const std::size_t keys = checkedProduct(config.keyValueHeads, config.headWidth, "key/value heads x head width");
    switch (role) {
    case Role::Q:
        return {queries, config.hiddenSize};
    case Role::K:
    case Role::V:
        return {keys, config.hiddenSize};
    case Role::O:
        return {config.hiddenSize, queries};
    case Role::Gate:
    case Role::Up:
        return {config.intermediateSize, config.hiddenSize};
    case Role::Down:
        break;
    }
    return {config.hiddenSize, config.intermediateSize};
}

} // namespace rankwright
