#pragma once

#include "core/calibration/statistics.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace rankwright {

/// Counts changes of the statistics code that change results.
inline constexpr std::size_t statisticsVersion = 1;

/// "tap-00003.safetensors".
std::filesystem::path tapFileName(std::size_t tap);

/// Figures of a tap from its finished sums.
TapSummary summarise(const TapStatistics& statistics);

/// What a set is of.
struct SetOrigin
{
    std::string fingerprint;
    std::string weights; ///< fingerprint of the checkpoint
    std::string windowsFingerprint;
    std::size_t windows = 0;
    std::size_t windowLength = 0;
};
SetOrigin originOf(const std::string& fingerprint, const Model& model, const TokenWindows& windows);

/// The file that makes a folder a finished set.
/// `names`: of the taps, or of the linears where the statistics are of gradients.
void writeManifest(const std::filesystem::path& folder, const SetOrigin& origin, const std::vector<std::string>& names,
                   const std::vector<TapSummary>& summaries);

/// The set in `folder`, or what `write(temporary folder)` makes there, manifest included. A damaged set, or one of
/// another number of entries, is made again; of several processes that make the same set the first wins.
CalibrationSet findOrMakeSet(const std::filesystem::path& folder, std::size_t entries, const TaskContext& context,
                             const std::function<void(const std::filesystem::path&)>& write);

} // namespace rankwright
