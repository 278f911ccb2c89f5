#pragma once

#include "core/experiment/store.h"

#include <string>

namespace rankwright::cli {

/// Two runs side by side: recipe values that differ, ratios, perplexities of texts that both have, and rank and
/// relative error of every linear.
Json comparisonToJson(const RunRecord& a, const RunRecord& b);
/// The same for a person; `everyLinear`: a line per linear that differs, else only how many do.
std::string comparisonToText(const RunRecord& a, const RunRecord& b, bool everyLinear);

} // namespace rankwright::cli
