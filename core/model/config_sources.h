#pragma once

#include "core/model/config.h"
#include "core/model/config_reader.h"

#include <filesystem>

namespace rankwright {

/// The configuration in the metadata of a GGUF file, not yet checked.
ModelConfig readGgufConfig(const Checkpoint& checkpoint);

/// config.json of a successor of Llama ("llama", "mistral", "qwen2", "qwen3"), not yet checked. Throws
/// Error(Unsupported) for what would change the output and is not run.
ModelConfig readRotaryConfig(const ConfigReader& reader, const std::string& architecture);
/// The same of OPT and of GPT-2.
ModelConfig readOptConfig(const ConfigReader& reader);
ModelConfig readGpt2Config(const ConfigReader& reader);

/// bos_token_id and eos_token_id; the given ones where the file has no such key and they lie in the vocabulary.
void readTokens(const ConfigReader& reader, ModelConfig& config, std::optional<std::int32_t> bosToken,
                std::optional<std::int32_t> eosToken);

/// Throws Error(Corrupt) naming `file` for numbers that cannot be a model: heads that do not divide, an odd head width
/// of rotary positions, impossible rotary or norm numbers, tokens outside the vocabulary.
void checkModelConfig(const ModelConfig& config, const std::filesystem::path& file);

} // namespace rankwright
