#include "core/model/tensor_names.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

constexpr std::array<std::string_view, roleCount> roleNames{"q", "k", "v", "o", "gate", "up", "down"};
constexpr std::array<std::string_view, roleCount> huggingFaceNames{
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
constexpr std::array<std::string_view, roleCount> ggufNames{"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                            "ffn_gate", "ffn_up", "ffn_down"};
constexpr std::array<std::string_view, siteCount> siteNames{"attentionInput", "outputInput", "mlpInput", "downInput"};

} // namespace

std::string_view roleName(Role role)
{
    return roleNames.at(static_cast<std::size_t>(role));
}

std::string linearName(std::size_t block, Role role)
{
    return fmt::format("model.layers.{}.{}", block, huggingFaceNames.at(static_cast<std::size_t>(role)));
}

std::string_view siteName(TapSite site)
{
    return siteNames.at(static_cast<std::size_t>(site));
}

TapSite siteOf(Role role)
{
    switch (role) {
    case Role::Q:
    case Role::K:
    case Role::V:
        return TapSite::AttentionInput;
    case Role::O:
        return TapSite::OutputInput;
    case Role::Gate:
    case Role::Up:
        return TapSite::MlpInput;
    case Role::Down:
        break;
    }
    return TapSite::DownInput;
}

std::string TensorNames::linear(std::size_t block, Role role) const
{
    if (!m_gguf)
        return linearName(block, role);
    return fmt::format("blk.{}.{}", block, ggufNames.at(static_cast<std::size_t>(role)));
}

std::string TensorNames::attentionNorm(std::size_t block) const
{
    return fmt::format(fmt::runtime(m_gguf ? "blk.{}.attn_norm.weight" : "model.layers.{}.input_layernorm.weight"),
                       block);
}

std::string TensorNames::mlpNorm(std::size_t block) const
{
    return fmt::format(
        fmt::runtime(m_gguf ? "blk.{}.ffn_norm.weight" : "model.layers.{}.post_attention_layernorm.weight"), block);
}

std::string TensorNames::embedding() const
{
    return m_gguf ? "token_embd.weight" : "model.embed_tokens.weight";
}

std::string TensorNames::finalNorm() const
{
    return m_gguf ? "output_norm.weight" : "model.norm.weight";
}

std::string TensorNames::head() const
{
    return m_gguf ? "output.weight" : "lm_head.weight";
}

bool TensorNames::ignored(std::string_view name) const
{
    return m_gguf ? name == "rope_freqs.weight" : name.ends_with(".rotary_emb.inv_freq");
}

} // namespace rankwright
