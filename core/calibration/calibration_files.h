#pragma once

#include "core/calibration/statistics.h"

#include <filesystem>
#include <string>
#include <vector>

namespace rankwright {

/// Counts changes of the statistics code that change results.
inline constexpr std::size_t statisticsVersion = 1;

/// "tap-00003.safetensors".
std::filesystem::path tapFileName(std::size_t tap);

/// Figures of a tap from its finished sums.
TapSummary summarise(const TapStatistics& statistics);

/// The file that makes a folder a finished set.
void writeManifest(const std::filesystem::path& folder, const std::string& fingerprint, const Model& model,
                   const TokenWindows& windows, const std::vector<TapSummary>& summaries);

} // namespace rankwright
