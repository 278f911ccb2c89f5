#pragma once

#include "core/model/forward.h"

namespace rankwright {

struct GenerationResult
{
    std::vector<std::int32_t> prompt;    ///< with the tokenizer's own special tokens
    std::vector<std::int32_t> generated; ///< without the prompt; ends early at the end-of-text token
    std::string text;                    ///< of the generated tokens
    double seconds = 0.0;
    double tokensPerSecond = 0.0;
};

/// Greedy generation with a key/value cache. Blocks stay in memory where the limit allows it, else they are brought in
/// again for every token. Throws Error(InvalidArgument) if prompt + tokens exceed the context.
GenerationResult generateGreedy(const Model& model, const Device& device, const std::string& prompt, std::size_t tokens,
                                const PassOptions& options, const TaskContext& context);

} // namespace rankwright
