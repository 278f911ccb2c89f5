#pragma once

#include "core/export/export.h"
#include "core/model/config.h"

namespace rankwright {

/// config.json of an export. Where `structures` is empty it is that of the stock classes of the architecture, else of
/// the classes of resources/python with the table under "rankwright". `config` is ExportedWeights::stockConfig().
/// Rotary settings are written as transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters) read them. Throws
/// Error(Unsupported) for rotary factors of a GGUF file that are not those of a llama3 scaling.
Json exportedConfig(const Model& model, const ModelConfig& config, DType dtype, const Json& structures);

/// generation_config.json: that of the source where it has one, else its special tokens.
Json exportedGenerationConfig(const Model& model);

} // namespace rankwright
