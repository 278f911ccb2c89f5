#pragma once

#include "core/model/config.h"
#include "core/model/role.h"

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace rankwright {

/// What Hugging Face calls an architecture, its classes and its tensors. Names of tensors lack ".weight" and ".bias";
/// an empty name is a part that the architecture does not have.
struct Architecture
{
    std::string_view modelType;   ///< "model_type" of config.json
    std::string_view stem;        ///< classes are named after it: "Llama" for LlamaConfig and LlamaModel
    std::string_view causalClass; ///< "LlamaForCausalLM"
    std::string_view prefix;      ///< of all tensors but the head; files saved from the base model lack it
    std::string_view blocks;      ///< PREFIX BLOCKS.i. begins the names of block i

    std::string_view embedding;
    std::string_view positions; ///< table of learned positions
    std::string_view finalNorm;

    std::string_view attentionNorm;
    std::string_view mlpNorm;
    std::string_view queryNorm;
    std::string_view keyNorm;
    std::array<std::string_view, roleCount> linears; ///< by Role
    /// One tensor that holds q, k and v; they are called FUSED.q, FUSED.k and FUSED.v.
    std::string_view fused;
    bool transposed = false;        ///< weights lie as n x m (Conv1D of transformers)
    std::size_t positionOffset = 0; ///< rows of the table of positions before that of position 0
};

/// All that are known.
std::span<const Architecture> architectures();
/// Null for an unknown model_type.
const Architecture* findArchitecture(std::string_view modelType);
/// Of a checked configuration.
const Architecture& architectureOf(const ModelConfig& config);

/// "model.layers.0", also for GGUF.
std::string blockName(const ModelConfig& config, std::size_t block);
/// "model.layers.0.self_attn.q_proj", also for GGUF.
std::string linearName(const ModelConfig& config, std::size_t block, Role role);

/// Whether blocks have such a linear.
bool hasRole(const ModelConfig& config, Role role);
/// Whether such a linear has a bias.
bool hasBias(const ModelConfig& config, Role role);
/// Rows and columns of a role. Throws Error(Memory) where a product of sizes overflows.
LinearShape roleShape(const ModelConfig& config, Role role);

} // namespace rankwright
