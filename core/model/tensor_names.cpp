#include "core/model/tensor_names.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

/// Of llama.cpp, the same for every architecture.
constexpr Architecture ggufNames{
    .modelType = "",
    .stem = "",
    .causalClass = "",
    .prefix = "",
    .blocks = "blk",
    .embedding = "token_embd",
    .positions = "position_embd",
    .finalNorm = "output_norm",
    .attentionNorm = "attn_norm",
    .mlpNorm = "ffn_norm",
    .queryNorm = "attn_q_norm",
    .keyNorm = "attn_k_norm",
    .linears = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"},
    .fused = ""};

} // namespace

TensorNames::TensorNames(const Checkpoint& checkpoint, const ModelConfig& config)
    : m_names(checkpoint.gguf() ? ggufNames : architectureOf(config))
    , m_gguf(checkpoint.gguf() != nullptr)
{
    const std::string embedding = std::string(m_names.embedding) + ".weight";
    if (!checkpoint.find(std::string(m_names.prefix) + embedding) && checkpoint.find(embedding))
        m_names.prefix = "";
}

TensorNames::TensorNames(const ModelConfig& config)
    : m_names(architectureOf(config))
{}

std::string TensorNames::inBlock(std::size_t block, std::string_view name) const
{
    return fmt::format("{}{}.{}.{}", m_names.prefix, m_names.blocks, block, name);
}

std::string TensorNames::linear(std::size_t block, Role role) const
{
    return inBlock(block, m_names.linears.at(static_cast<std::size_t>(role)));
}

std::string TensorNames::fused(std::size_t block) const
{
    return m_names.fused.empty() ? std::string() : inBlock(block, m_names.fused);
}

std::string TensorNames::attentionNorm(std::size_t block) const
{
    return inBlock(block, m_names.attentionNorm);
}

std::string TensorNames::mlpNorm(std::size_t block) const
{
    return inBlock(block, m_names.mlpNorm);
}

std::string TensorNames::queryNorm(std::size_t block) const
{
    return inBlock(block, m_names.queryNorm);
}

std::string TensorNames::keyNorm(std::size_t block) const
{
    return inBlock(block, m_names.keyNorm);
}

std::string TensorNames::embedding() const
{
    return fmt::format("{}{}", m_names.prefix, m_names.embedding);
}

std::string TensorNames::positions() const
{
    return fmt::format("{}{}", m_names.prefix, m_names.positions);
}

std::string TensorNames::finalNorm() const
{
    return fmt::format("{}{}", m_names.prefix, m_names.finalNorm);
}

std::string TensorNames::head() const
{
    return m_gguf ? "output" : "lm_head";
}

bool TensorNames::ignored(std::string_view name) const
{
    if (m_gguf)
        return name == "rope_freqs.weight";
    // Masks that GPT-2 files before 2023 carry.
    if (m_names.modelType == "gpt2" && (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")))
        return true;
    // The number of the file's format in the files of Meta.
    if (m_names.modelType == "opt" && name.ends_with("decoder.version"))
        return true;
    return name.ends_with("rotary_emb.inv_freq");
}

} // namespace rankwright
