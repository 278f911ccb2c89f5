#pragma once

#include "core/experiment/run_observer.h"
#include "core/experiment/store.h"

namespace rankwright {

/// Where a run keeps what.
struct RunPlaces
{
    std::filesystem::path cache; ///< calibration statistics
};

/// Runs a recipe: calibrate (or reuse), analyse every chosen linear, allocate, factorise and measure on a pool of
/// one-thread workers (one many-thread worker for linears whose smaller side is above 2048), evaluate, export. Every
/// finished linear is a file of the run's folder (temporary, fsync, rename) before it is recorded, and the same recipe
/// continues from there. Equal recipes give equal bytes, whatever the number of workers, the memory limit and the
/// interruptions; for linears above 2048 as far as BLAS itself does not depend on its number of threads.
/// Stages: open, allocate, calibrate, analyse, factorise, evaluate, export.
/// Throws Error(InvalidArgument) before any work for a wrong recipe or an export folder that is not empty; any other
/// Error, also that of a run that another process is at, leaves the run in the store as Failed or Cancelled.
RunResult runRecipe(const Recipe& recipe, Store& store, const RunPlaces& places, const TaskContext& context,
                    const RunObserver& observer = {});

/// Replacements of a finished run, read from its folder one linear at a time, by any number of threads. Throws
/// Error(NotFound) if the run is not finished, Error(Mismatch) if it is another one's folder, Error(Corrupt).
LinearSource runLinears(const std::filesystem::path& folder, const std::string& fingerprint);

/// `model` with the linears of a stored run. Throws Error(Mismatch) if its weights are not those that the run
/// compressed, and what runLinears() throws.
Model compressedModel(const Model& model, const RunRecord& record);

/// What a run will need, from shapes alone: forward passes at 2 operations per weight and token, n^2 per tap and token
/// for the second moments, and per m x n linear 4 m n^2 + 2 k^2 (m + n) + 9 k^3 + 4 m n k, k = min(m, n), at fixed
/// rates of one thread. The order of magnitude, not a promise.
struct RunEstimate
{
    double seconds = 0.0; ///< sum of stageSeconds
    /// "open", "calibrate", "analyse", "factorise", "evaluate", "export", as in RunResult.
    std::vector<std::pair<std::string, double>> stageSeconds;
    std::size_t memory = 0;
    std::size_t disk = 0;
};
RunEstimate estimateRun(const Recipe& recipe, const Model& model);

} // namespace rankwright
