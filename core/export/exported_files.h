#pragma once

#include "core/export/export.h"

#include <string>

namespace rankwright {

/// Puts the tokenizer of a model into a folder: the files of a Hugging Face source as they are, with a
/// tokenizer_config.json that names a stock class where the source's does not; for GGUF an equivalent tokenizer.json
/// and tokenizer_config.json with the chat template. Returns a sentence for the model card, also where there is no
/// tokenizer or none that can be written. Throws Error(Corrupt or Io).
std::string exportTokenizer(const Model& model, const std::filesystem::path& folder);

/// Copies the licence and notice files beside a Hugging Face source; returns their names, sorted.
std::vector<std::string> exportLicences(const Model& model, const std::filesystem::path& folder);

/// What the source says its licence is: `license:` of its README.md, or general.license of GGUF. Empty if nothing.
std::string statedLicence(const Model& model);

} // namespace rankwright
