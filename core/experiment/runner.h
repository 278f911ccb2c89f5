#pragma once

#include "core/compute/machine_rates.h"
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
/// Stages: open, allocate, calibrate, curvature (where gradients are taken), analyse, sensitivity (where the allocator
/// measures perplexities), factorise, then distill and
/// recover (where factors are trained; perplexities before and after are recorded) or forecast (what the stored linears
/// cost in nats, where gradients are taken), evaluate, export.
/// Throws Error(InvalidArgument) before any work for a wrong recipe or an export folder that is not empty; any other
/// Error, also that of a run that another process is at, leaves the run in the store as Failed or Cancelled.
RunResult runRecipe(const Recipe& recipe, Store& store, const RunPlaces& places, const TaskContext& context,
                    const RunObserver& observer = {});

/// Perplexity of the model as it is: measured once, then known to the store. Throws as evaluatePerplexity().
PerplexityResult densePerplexity(const Model& model, const Device& device, const TokenWindows& windows, Store& store,
                                 const std::string& modelFingerprint, const PassOptions& options,
                                 const TaskContext& context);

/// Replacements of a finished run, read from its folder one linear at a time, by any number of threads. Throws
/// Error(NotFound) if the run is not finished, Error(Mismatch) if it is another one's folder, Error(Corrupt).
LinearSource runLinears(const std::filesystem::path& folder, const std::string& fingerprint);

/// `model` with the linears of a stored run. Throws Error(Mismatch) if its weights are not those that the run
/// compressed, and what runLinears() throws.
Model compressedModel(const Model& model, const RunRecord& record);

/// What a run will need.
struct RunEstimate
{
    double seconds = 0.0; ///< sum of stageSeconds
    /// "open", "calibrate", "curvature", "sensitivity", "analyse", "factorise", "distill", "recover", "evaluate" and
    /// "export", as in RunResult; those that a run has not may be missing.
    std::vector<std::pair<std::string, double>> stageSeconds;
    /// Largest at a time, bytes; above the recipe's limit where a part of the work does not fit it.
    std::size_t memory = 0;
    std::size_t disk = 0;       ///< statistics, compressed linears, checkpoints of a training and export, bytes
    std::size_t statistics = 0; ///< of it statistics, which runs on the same model and texts share
};
/// From shapes alone, at rates that are measured here with the recipe's threads (10 to 20 ms, at the first call for
/// a device): what the run takes where nothing else computes, and nothing is kept from earlier runs. Tried with 13
/// recipes on stories260K (20 ms to 2 s) and SmolLM2-135M (25 to 75 s), all methods, allocators and sequential modes,
/// windows of 64 to 2048 tokens: seconds 0.75 to 1.4 of the processor seconds per core, memory 0.75 to 1.5 of the
/// largest resident set, disk 0.85 to 1.5 of what was written (the most where many linears stay dense).
RunEstimate estimateRun(const Recipe& recipe, const Model& model);
/// The same at given rates. Both throw as requirePossible(); texts are not looked at.
RunEstimate estimateRun(const Recipe& recipe, const Model& model, const MachineRates& rates);

} // namespace rankwright
