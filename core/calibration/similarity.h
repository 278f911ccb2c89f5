#pragma once

#include "core/calibration/statistics.h"
#include "core/compute/device.h"

#include <filesystem>
#include <span>
#include <vector>

namespace rankwright {

/// How alike the inputs of one site are on two texts (NSVD 2.6; the paper's own measure is not verified).
struct TapSimilarity
{
    double cosine = 0.0;  ///< of the vectors of mean |x|; 0 where one of them is zero
    double overlap = 0.0; ///< ||U_a^T U_b||_F^2 / k, U the first k principal directions of each second moment: 1 where
                          ///< they span the same space, about k / n for unrelated ones
};

/// k = min(directions, n), at least 1. Throws Error(Mismatch) for statistics of different widths.
TapSimilarity compareTaps(const Device& device, const TapStatistics& a, const TapStatistics& b, std::size_t directions);

/// All taps of a model on each of `others` beside `reference`, by text and tap index; what is of the reference is
/// computed once. Throws as CalibrationSet::load(), Error(Mismatch) for sets of different models, Error(Cancelled).
std::vector<std::vector<TapSimilarity>> compareCalibrations(const Model& model, const Device& device,
                                                            const CalibrationSet& reference,
                                                            std::span<const CalibrationSet> others,
                                                            std::size_t directions, std::size_t threads,
                                                            const TaskContext& context);

/// The same on texts: statistics that are not in `cache` are taken first. Progress counts the others as the parts after
/// the reference. Throws as calibrate() and compareCalibrations().
std::vector<std::vector<TapSimilarity>> compareTexts(const Model& model, const Device& device,
                                                     const CalibrationSet& reference,
                                                     std::span<const TokenWindows> others, std::size_t directions,
                                                     const std::filesystem::path& cache, const PassOptions& options,
                                                     const TaskContext& context);

/// Mean and standard deviation (of the population).
struct Spread
{
    double mean = 0.0;
    double deviation = 0.0;
};
Spread spreadOf(const std::vector<double>& values);

} // namespace rankwright
