#pragma once

#include "core/model/config.h"

#include <filesystem>

namespace rankwright {

/// The configuration in the metadata of a GGUF file ("llama.*" keys), not yet checked.
ModelConfig readGgufConfig(const Checkpoint& checkpoint);

/// Throws Error(Corrupt) naming `file` for numbers that cannot be a model: heads that do not divide, an odd head width,
/// impossible rotary or norm numbers, tokens outside the vocabulary.
void checkModelConfig(const ModelConfig& config, const std::filesystem::path& file);

} // namespace rankwright
