#pragma once

#include "core/tokenizer/tokenizer.h"

namespace rankwright {

/// What a SentencePiece model file says about itself; the library keeps most of it to itself.
struct SentencePieceModel
{
    enum class Kind { Unigram = 1, Bpe = 2, Word = 3, Character = 4 };

    std::vector<std::string> pieces;
    std::vector<float> scores;
    std::vector<std::int32_t> types; ///< numbered as GgufVocabulary::types
    Kind kind = Kind::Unigram;
    bool byteFallback = false;
    bool spaceIsSuffix = false;
    bool addDummyPrefix = true;
    bool removeExtraSpaces = true;
    bool escapeSpaces = true;
    bool hasNormalizationTable = false;
    std::int32_t unknown = 0, bos = 1, eos = 2, padding = -1;
};

/// Reads the ModelProto (protocol buffer, google/sentencepiece sentencepiece_model.proto).
/// Throws Error(Corrupt) naming `file` and the byte offset.
SentencePieceModel parseSentencePieceModel(std::string_view bytes, const std::filesystem::path& file);

/// A tokenizer.model, run by the SentencePiece library. Control tokens written in the text are text, as there.
std::shared_ptr<const Tokenizer> openSentencePiece(const std::filesystem::path& file, bool addBos, bool addEos);

} // namespace rankwright
