#pragma once

#include "core/calibration/statistics.h"

#include <span>

namespace rankwright {

/// Statistics of one text in a mixture.
struct WeightedSet
{
    const CalibrationSet* set = nullptr;
    double weight = 1.0; ///< above 0; of all texts only the ratios count
};

/// One set that counts every text by its weight, whatever its number of tokens: with T_i tokens and weights w_i the
/// sums of text i are scaled by w_i / sum(w) * sum(T) / T_i, so that one text alone, or texts weighed by their tokens,
/// keep their plain sums. `names`: of the entries (taps, or linears where the sets are of gradients). Kept in `cache`
/// and reused as those of calibrate(); the sets themselves stay, so that another weight costs no pass. Throws
/// Error(Mismatch) for sets of other entries or another window length, Error(InvalidArgument) for no set and a weight
/// that is not a number above 0.
CalibrationSet mixSets(const Model& model, std::span<const WeightedSet> sets, const std::vector<std::string>& names,
                       const std::filesystem::path& cache, const TaskContext& context);

/// Key of such a set from the keys of its texts.
std::string mixtureFingerprint(std::span<const std::string> fingerprints, std::span<const double> weights);

} // namespace rankwright
