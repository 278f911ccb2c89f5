#pragma once

#include <filesystem>
#include <string>

namespace rankwright {

/// Curvature statistics with the text's own labels, and weight gradients, of the windows that a reference file of
/// tests/data/reference names (torch autograd), all within 1e-3 relative. Returns what differs, or nothing.
std::string compareGradients(const std::filesystem::path& model, const std::filesystem::path& text,
                             const std::string& reference, const std::filesystem::path& cache);

} // namespace rankwright
