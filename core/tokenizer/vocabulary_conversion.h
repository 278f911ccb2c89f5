#pragma once

#include "core/tokenizer/bpe_tokenizer.h"

namespace rankwright {

/// The tokenizer.json that a GGUF vocabulary stands for, and its tokens with a role. `file` is named in errors.
/// "gpt2": merges as given, the pre-tokenizer by its name (ggml-org/llama.cpp, src/llama-vocab.cpp).
/// "llama": SentencePiece BPE; a token's score says when the pair of tokens that spell it is merged.
/// Throws Error(Corrupt), and Error(Unsupported) for other models and unknown pre-tokenizers.
TokenizerJson toTokenizerJson(const GgufVocabulary& vocabulary, const std::filesystem::path& file);
/// Whether the name of its pre-tokenizer is why a vocabulary cannot be turned into a tokenizer.json.
bool hasUnknownPreTokenizer(const GgufVocabulary& vocabulary);
TokenRoles rolesOf(const GgufVocabulary& vocabulary);

/// Who spells a vocab.json and merges.txt.
enum class VocabularyFamily { Gpt2, Qwen2 };
/// The tokenizer.json of the two files: the family's pattern and normalizer, no special tokens.
TokenizerJson toTokenizerJson(std::vector<VocabularyEntry> vocabulary,
                              std::vector<std::pair<std::string, std::string>> merges, VocabularyFamily family,
                              bool addPrefixSpace);

/// A post_processor that puts `before` in front of every text and `behind` after it; null where there is neither.
Json templateProcessing(const std::optional<VocabularyEntry>& before, const std::optional<VocabularyEntry>& behind);

} // namespace rankwright
