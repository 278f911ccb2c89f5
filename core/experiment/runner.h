#pragma once

#include "core/experiment/store.h"

namespace rankwright {

/// Where a run keeps what.
struct RunPlaces
{
    std::filesystem::path cache; ///< calibration statistics
};

/// Runs a recipe: calibrate (or reuse), analyse every chosen linear, allocate, factorise and measure on a pool of
/// one-thread workers (one many-thread worker for large linears), evaluate, export. Every finished linear is a file of
/// the run's folder (temporary, fsync, rename) before it is recorded, and the same recipe continues from there.
/// Throws Error; the store then says Failed or Cancelled.
RunResult runRecipe(const Recipe& recipe, Store& store, const RunPlaces& places, const TaskContext& context);

/// Replacements of a finished run, read from its folder one linear at a time.
LinearSource runLinears(const std::filesystem::path& folder, const std::string& fingerprint);

/// What a run will need, from shapes alone (a few per cent where flops decide, not a promise).
struct RunEstimate
{
    double seconds = 0.0;
    std::size_t memory = 0;
    std::size_t disk = 0;
};
RunEstimate estimateRun(const Recipe& recipe, const Model& model);

} // namespace rankwright
