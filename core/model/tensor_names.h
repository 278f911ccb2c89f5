#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/model/model.h"

#include <optional>
#include <string>

namespace rankwright {

/// "model.layers.3.self_attn.q_proj".
std::string linearName(std::size_t block, Role role);
/// "attentionInput", "outputInput", "mlpInput", "downInput".
std::string_view siteName(TapSite site);
/// Site whose input a role reads.
TapSite siteOf(Role role);

/// Names of tensors in one format of checkpoint.
class TensorNames
{
public:
    explicit TensorNames(CheckpointFormat format)
        : m_gguf(format == CheckpointFormat::Gguf)
    {}

    /// Name before ".weight" and ".bias".
    std::string linear(std::size_t block, Role role) const;
    std::string attentionNorm(std::size_t block) const;
    std::string mlpNorm(std::size_t block) const;
    std::string embedding() const;
    std::string finalNorm() const;
    std::string head() const;
    /// True for tensors that hold nothing of the model: rotary tables that the configuration gives as well.
    bool ignored(std::string_view name) const;

private:
    bool m_gguf;
};

} // namespace rankwright
