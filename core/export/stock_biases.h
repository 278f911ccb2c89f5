#pragma once

#include "core/model/config.h"
#include "core/model/role.h"

#include <filesystem>
#include <span>

namespace rankwright {

/// `config` with the fewest further biases that the stock classes of its architecture can have together: they have one
/// switch for several linears.
ModelConfig withStockBiases(ModelConfig config);

/// The configuration of stock classes that have a bias at linears of the roles `biased` too, for the dense format. The
/// classes of Mistral and Qwen2 have none there; those of Llama compute the same (without a sliding window) and can
/// have them, so that `architecture` is "llama" then. Throws Error(Unsupported) naming `file` where no stock class has
/// them: Mistral with a sliding window, and the MLP of Qwen3.
ModelConfig stockConfigWith(const ModelConfig& config, std::span<const Role> biased, const std::filesystem::path& file);

} // namespace rankwright
