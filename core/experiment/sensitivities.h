#pragma once

#include "core/experiment/compression.h"
#include "core/experiment/store.h"

#include <string>

namespace rankwright {

/// Tokens of the calibration text on which single linears are tried: the first windows that hold so many, one at least.
inline constexpr std::size_t sensitivityTokens = 1024;

/// Where the model that is tried and the analyses come from.
struct SensitivitySources
{
    const TokenWindows& calibration;
    const std::string& modelFingerprint;
    const std::string& calibrationFingerprint; ///< of the statistics
};

/// Gives `items`, one linear each and analysed by `compression`, the losses of ASVD's search (methods 25.2): the nats
/// per token that the model loses with this linear alone at the ranks of kept ratios 0.4, ..., 0.9; other ranks have
/// the loss of the next lower of these, or of the lowest. Ranks set by hand are not tried. Perplexities go into the
/// store as they come and are taken from there by whoever asks for the same again: another kept ratio or a run that
/// goes on. Throws as evaluateProbes().
void measureSensitivities(const RunJob& job, Compression& compression, const SensitivitySources& sources, Store& store,
                          const PassOptions& options, std::vector<AllocationItem>& items);

/// Gives `items` the influence of their blocks on the same tokens of the calibration text. Throws as
/// evaluateBlockInfluence().
void measureBlockInfluence(const RunJob& job, const TokenWindows& calibration, const PassOptions& options,
                           std::vector<AllocationItem>& items);

} // namespace rankwright
