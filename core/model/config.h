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

/// How a block knows where a token stands.
enum class PositionKind {
    Rotary, ///< queries and keys are rotated; the pairs of a head are (j, j + headWidth/2), see rotaryFrequencies()
    Learned ///< a table whose rows are added to the embeddings
};

enum class NormKind {
    RootMeanSquare, ///< RMSNorm, a weight per channel
    Layer           ///< LayerNorm, a weight and a bias per channel
};

enum class Activation {
    Silu,    ///< v / (1 + exp(-v))
    Relu,    ///< max(v, 0)
    GeluTanh ///< v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))) / 2
};

/// What config.json or GGUF metadata says about a decoder with norms before attention and MLP.
struct ModelConfig
{
    std::string architecture; ///< model_type of Hugging Face: "llama", "opt", ... (see architectures())
    std::size_t hiddenSize = 0;
    std::size_t intermediateSize = 0;
    std::size_t blocks = 0;
    std::size_t heads = 0;
    std::size_t keyValueHeads = 0;
    std::size_t headWidth = 0;
    std::size_t vocabularySize = 0;
    std::size_t contextLength = 0;
    NormKind norm = NormKind::RootMeanSquare;
    float normEpsilon = 1e-5F;
    PositionKind positions = PositionKind::Rotary;
    double ropeTheta = 10000.0;             ///< rotary base
    std::optional<RopeScaling> ropeScaling; ///< of rotary positions
    bool queryKeyNorm = false;              ///< RMSNorm over every head of q and k before they are rotated
    /// A query sees its own position and the slidingWindow - 1 before it; all before it where there is none.
    std::optional<std::size_t> slidingWindow;
    Activation activation = Activation::Silu;
    bool gatedMlp = true; ///< down(activation(gate x) * up x), else down(activation(up x))
    bool tiedHead = false;
    bool queryKeyValueBias = false; ///< q, k and v have a bias
    bool outputBias = false;        ///< o has a bias
    bool mlpBias = false;           ///< gate, up and down have a bias
    std::optional<std::int32_t> bosToken;
    std::optional<std::int32_t> eosToken;
    /// Tokens that end a generated text: of generation_config.json where it names some, else of the configuration (in
    /// GGUF end of text and end of turn).
    std::vector<std::int32_t> endTokens;
    /// repetition_penalty of generation_config.json (Keskar et al. 2019, section 4.1); 1 is none.
    float repetitionPenalty = 1.0F;
};

/// Reads and checks the configuration. Throws Error(Unsupported) for other architectures (naming them), Error(Corrupt)
/// for missing or impossible values.
ModelConfig readModelConfig(const Checkpoint& checkpoint);

} // namespace rankwright
