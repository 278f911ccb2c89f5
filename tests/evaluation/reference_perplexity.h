#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace rankwright {

/// Compares perplexity, losses of windows and logits of `model` with a file of tests/data/reference: losses within 1e-4
/// relative, logits within 1e-4 of the largest. Only the first `windows` are run where that is not 0. Returns what
/// differs, or nothing.
std::string comparePerplexity(const std::filesystem::path& model, const std::filesystem::path& text,
                              const std::string& reference, std::size_t windows = 0);

} // namespace rankwright
