#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/model/architecture.h"

#include <string>

namespace rankwright {

/// Names of the tensors of one checkpoint, before ".weight" and ".bias".
class TensorNames
{
public:
    /// As they are in a checkpoint. Hugging Face files of the base model lack the first part ("model.").
    TensorNames(const Checkpoint& checkpoint, const ModelConfig& config);
    /// As transformers writes them.
    explicit TensorNames(const ModelConfig& config);

    std::string linear(std::size_t block, Role role) const;
    /// The tensor that holds q, k and v; empty where each has its own.
    std::string fused(std::size_t block) const;
    std::string attentionNorm(std::size_t block) const;
    std::string mlpNorm(std::size_t block) const;
    std::string queryNorm(std::size_t block) const;
    std::string keyNorm(std::size_t block) const;
    std::string embedding() const;
    std::string positions() const;
    std::string finalNorm() const;
    std::string head() const;
    /// True for whole names of tensors that hold nothing of the model: rotary tables that the configuration gives as
    /// well, masks.
    bool ignored(std::string_view name) const;

private:
    std::string inBlock(std::size_t block, std::string_view name) const;

    Architecture m_names;
    bool m_gguf = false;
};

} // namespace rankwright
