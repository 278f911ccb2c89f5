#pragma once

#include "core/checkpoint/checkpoint.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rankwright {

/// Change of the rotary frequencies for long contexts; kinds "linear" and "llama3" (Hugging Face rope_scaling), and
/// "factors", where a GGUF file lists a divisor per frequency (rope_freqs.weight).
struct RopeScaling
{
    std::string kind;
    double factor = 1.0;
    double lowFrequencyFactor = 1.0;
    double highFrequencyFactor = 4.0;
    std::size_t originalContext = 8192;
    std::vector<float> factors; ///< headWidth/2 values where kind is "factors"
};

/// What config.json or GGUF metadata says about a decoder of the Llama family.
struct ModelConfig
{
    std::string architecture; ///< "llama"
    std::size_t hiddenSize = 0;
    std::size_t intermediateSize = 0;
    std::size_t blocks = 0;
    std::size_t heads = 0;
    std::size_t keyValueHeads = 0;
    std::size_t headWidth = 0;
    std::size_t vocabularySize = 0;
    std::size_t contextLength = 0;
    float normEpsilon = 1e-5F;
    double ropeTheta = 10000.0;
    std::optional<RopeScaling> ropeScaling;
    bool tiedHead = false;
    bool attentionBias = false; ///< q, k, v and o have a bias
    bool mlpBias = false;       ///< gate, up and down have a bias
    std::optional<std::int32_t> bosToken;
    std::optional<std::int32_t> eosToken;
    /// Tokens that end a generated text: of generation_config.json where it names some, else of the configuration (in
    /// GGUF end of text and end of turn).
    std::vector<std::int32_t> endTokens;
};

/// Reads and checks the configuration. Throws Error(Unsupported) for other architectures (naming them), Error(Corrupt)
/// for missing or impossible values.
ModelConfig readModelConfig(const Checkpoint& checkpoint);

} // namespace rankwright
