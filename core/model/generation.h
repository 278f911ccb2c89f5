#pragma once

#include "core/model/forward.h"

#include <string>
#include <string_view>

namespace rankwright {

struct GenerationResult
{
    std::vector<std::int32_t> prompt;    ///< with the tokenizer's own special tokens
    std::vector<std::int32_t> generated; ///< without the prompt; an end token is the last where one came
    bool ended = false;                  ///< an end token came before the wanted number of tokens
    std::string text;                    ///< what `generated` adds to the prompt, without the end token
    double promptSeconds = 0.0;          ///< until the first token, loading included
    double seconds = 0.0;                ///< in all
    double tokensPerSecond = 0.0;        ///< of the tokens after the first; 0 where there are none
};

/// Called with pieces of text as they come; joined they are GenerationResult::text. A piece ends at the end of a
/// character.
using TextSink = std::function<void(std::string_view piece)>;

/// The `tokens` most likely next tokens after the prompt (the lower id of equals), one at a time, with a key/value
/// cache and ModelConfig::repetitionPenalty, as transformers' greedy search; ends after an end token of the
/// configuration (ModelConfig::endTokens, else the tokenizer's). Blocks are
/// brought in once where the limit allows, those past it again for every token; tokens do not depend on threads and
/// memory limit. Throws Error(InvalidArgument) if prompt + tokens exceed the context or there is no token to start
/// from, Error(Memory) if the keys and values do not fit, Error(NonFinite) naming the block.
GenerationResult generateGreedy(const Model& model, const Device& device, const std::string& prompt, std::size_t tokens,
                                const PassOptions& options, const TaskContext& context, const TextSink& sink = {});

} // namespace rankwright
