#pragma once

#include "core/base/json.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// The tokenizer part of GGUF metadata (`tokenizer.ggml.*`), as plain data.
struct GgufVocabulary
{
    std::string model;               ///< tokenizer.ggml.model: "gpt2" or "llama"
    std::string pre;                 ///< tokenizer.ggml.pre; empty if absent
    std::vector<std::string> tokens; ///< id -> text
    std::vector<std::int32_t> types; ///< 1 normal, 2 unknown, 3 control, 4 user, 5 unused, 6 byte
    std::vector<float> scores;       ///< "llama": the higher, the earlier a merge
    std::vector<std::string> merges; ///< "gpt2": "left right", in order of rank
    std::optional<std::int32_t> bos, eos, unknown, padding; ///< ids
    std::optional<bool> addBos; ///< tokenizer.ggml.add_bos_token; absent: as llama.cpp for `model` and `pre`
    bool addEos = false;        ///< tokenizer.ggml.add_eos_token
    bool addSpacePrefix = true; ///< tokenizer.ggml.add_space_prefix ("llama" only)
};

/// Text to token ids and back, equal id for id to Hugging Face `tokenizers` (tokenizer.json, vocab.json + merges.txt,
/// GGUF) or SentencePiece (tokenizer.model). Immutable; one object may be used by several threads.
class Tokenizer
{
public:
    using Sink = std::function<void(std::span<const std::int32_t>)>;

    virtual ~Tokenizer();

    /// `path` is a folder (tokenizer.json, else tokenizer.model, else vocab.json + merges.txt) or one of those files.
    /// Throws Error(NotFound, Corrupt or Unsupported) naming the file and what in it.
    static std::shared_ptr<const Tokenizer> open(const std::filesystem::path& path);
    /// `file`, whose metadata these are, is named in errors; a tokenizer.json beside it is read where `pre` is unknown.
    /// Throws Error(Corrupt or Unsupported), e.g. for an unknown `pre` with nothing beside the file.
    static std::shared_ptr<const Tokenizer> fromGguf(const GgufVocabulary& vocabulary,
                                                     const std::filesystem::path& file);

    /// Largest id + 1.
    virtual std::size_t vocabularySize() const = 0;

    /// Ids of the text. Special tokens written in the text are recognised as transformers does; none are added.
    /// Throws Error(Corrupt) naming the byte offset of invalid UTF-8.
    std::vector<std::int32_t> encode(std::string_view text) const;
    /// The same, streamed: the ids in order, in pieces. Memory does not grow with the text beyond what one piece needs.
    virtual void encode(std::string_view text, const Sink& sink) const = 0;

    /// Text of the ids, special tokens included; bytes that are not UTF-8 become U+FFFD.
    /// Throws Error(InvalidArgument) for an id outside the vocabulary.
    virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
    /// The token as the vocabulary spells it (byte-level alphabet, U+2581 for a space), for tables.
    virtual std::string tokenText(std::int32_t id) const = 0;

    /// Ids put before and after a text when special tokens are added, as the tokenizer's own post-processor says.
    virtual std::vector<std::int32_t> prefix() const = 0;
    virtual std::vector<std::int32_t> suffix() const = 0;
    virtual std::optional<std::int32_t> bosToken() const = 0;
    virtual std::optional<std::int32_t> eosToken() const = 0;

    /// An equivalent Hugging Face tokenizer.json. Throws Error(Unsupported) where there is none.
    virtual Json toTokenizerJson() const = 0;
    /// tokenizer_config.json values for it: stock class name, bos, eos and unknown token.
    virtual Json toTokenizerConfig() const = 0;

    /// E.g. "byte-level BPE, 49152 tokens".
    virtual std::string description() const = 0;
};

} // namespace rankwright
