#pragma once

#include <filesystem>
#include <string>

namespace rankwright {

/// Calibrates `model` on the windows a reference file of tests/data/reference names and compares every figure of every
/// linear, all within 1e-4 relative. Returns what differs, or nothing.
std::string compareStatistics(const std::filesystem::path& model, const std::filesystem::path& text,
                              const std::string& reference, const std::filesystem::path& cache);

} // namespace rankwright
