#pragma once

#include "core/calibration/statistics.h"

#include <filesystem>

namespace rankwright {

/// Writes statistics of a dense tap: the upper triangle of the second moment packed by rows, sum and sumAbs, and
/// weightSquares where there are any, all F64. Uses the matrices as buffers: they are empty afterwards.
void writeTapFile(const std::filesystem::path& path, TapStatistics& statistics);

/// Reads them back, the second moment filled. Throws Error(Corrupt) if the file is not of `width` channels.
TapStatistics readTapFile(const std::filesystem::path& path, std::size_t width, std::size_t tokens);

} // namespace rankwright
