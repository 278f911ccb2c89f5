#pragma once

#include "core/experiment/store.h"
#include "core/model/summary.h"

#include <string>
#include <utility>
#include <vector>

namespace rankwright::cli {

/// Perplexity, 5 and 95 % and what it rests on.
Json forecastToJson(const Forecast& forecast);
/// Numbers and bytes per token, of float32 values: of keys and values as they are cached, and of their latents.
Json cacheToJson(const CacheWidth& cache);
/// One row of the runs table.
Json summaryToJson(const RunSummary& summary);
/// What the relative losses of a method are shares of: "the output energy". `calibrated`: with input statistics.
std::string lossTotal(const Method& method, const MethodParameters& parameters, bool calibrated);
std::string lossTotal(const Recipe& recipe);
/// Of the numerics of a run: "kind", "linear", "message", "value".
Json eventsToJson(const std::vector<NumericEvent>& events);
/// What `compress` prints: ratios, sizes, perplexities, linears, events, seconds per stage.
Json resultToJson(const RunResult& result);
/// The same for a person, after `lines` (names and values); `everyLinear`: a line per linear, else per role; `total` is
/// the lossTotal() of the run.
std::string resultToText(const RunResult& result, bool everyLinear, const std::string& total,
                         std::vector<std::pair<std::string, std::string>> lines = {});

/// Seconds in all and per stage: "2 min 49 s (calibrate 93 s, ...)".
std::string stagesText(const std::vector<std::pair<std::string, double>>& stageSeconds);

/// "1.25 GiB", and where that is so ", more than the limit of 1 GiB"; `limit` 0: none.
std::string memoryText(std::size_t bytes, std::size_t limit);

/// A perplexity for tables: six digits, "-" where there is none.
std::string perplexityText(double perplexity);

/// A command line as it is; where it holds control characters, which a terminal would obey, a line that says so.
std::string commandToText(const std::string& command);

} // namespace rankwright::cli
