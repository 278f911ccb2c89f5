#pragma once

#include "core/checkpoint/gguf.h"
#include "core/tokenizer/tokenizer.h"

namespace rankwright {

/// The tokenizer part of GGUF metadata. Throws Error(NotFound) if there is none, Error(Corrupt) for numbers outside
/// their range; `file` is named in errors.
GgufVocabulary readGgufVocabulary(const GgufFile& gguf, const std::filesystem::path& file);

} // namespace rankwright
