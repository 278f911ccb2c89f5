#pragma once

#include "core/tokenizer/bpe_tokenizer.h"

namespace rankwright {

/// The tokenizer.json that a GGUF vocabulary stands for, and its tokens with a role. `file` is named in errors.
/// "gpt2": merges as given, the pre-tokenizer by its name (ggml-org/llama.cpp, src/llama-vocab.cpp).
/// "llama": SentencePiece BPE; a token's score says when the pair of tokens that spell it is merged.
/// Throws Error(Corrupt), and Error(Unsupported) for other models and unknown pre-tokenizers.
TokenizerJson toTokenizerJson(const GgufVocabulary& vocabulary, const std::filesystem::path& file);
TokenRoles rolesOf(const GgufVocabulary& vocabulary);

/// The tokenizer.json of GPT-2's two files: byte-level pattern, no special tokens.
TokenizerJson toTokenizerJson(std::vector<std::pair<std::string, std::int64_t>> vocabulary,
                              std::vector<std::pair<std::string, std::string>> merges, bool addPrefixSpace);

} // namespace rankwright
