#pragma once

#include "core/allocation/allocation.h"
#include "core/experiment/recipe.h"
#include "core/experiment/run_observer.h"
#include "core/model/model.h"

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace rankwright {

/// What all parts of a run share. Everything referred to outlives the run.
struct RunJob
{
    const Recipe& recipe;
    const Model& model;
    const Device& device;
    const Method& method;
    TaskContext context;
    const RunObserver& observer;
    std::string fingerprint;
    std::filesystem::path folder;
    std::vector<const LinearInfo*> linears; ///< chosen ones, in the order of the model
    std::size_t threads = 1;
    std::size_t memoryLimit = 0; ///< bytes
};

/// Of a recipe, in the order of the model. Throws Error(InvalidArgument) where it chooses none, and as
/// rankedTogether().
std::vector<const LinearInfo*> chosenLinears(const Model& model, const Recipe& recipe);

/// What gets a rank, the chosen linears or those that share their latents, with ranks set by hand: of linears that
/// share latents that of any. Throws Error(NotFound or InvalidArgument) for a rank set by hand of a linear that does
/// not exist or is not chosen, or for different ones of linears that share their latents.
std::vector<AllocationItem> rankedItems(const Model& model, const Recipe& recipe,
                                        std::span<const LinearInfo* const> linears);
/// The plan of a recipe, or where losses or trials of the model decide one that tells whether its budget and the ranks
/// set by hand can be kept. Throws as allocate().
AllocationPlan firstPlan(const Recipe& recipe, const std::vector<AllocationItem>& items);
/// What a run refuses before any work, without its texts: windows that cannot be counted, an export folder that is not
/// empty, a method that does not fit the model, linears, ranks and a budget that no plan can have, and biases that a
/// dense export cannot hold. Throws as validateWindowLimits(), requireFreeTarget(), checkMethod(), chosenLinears(),
/// rankedItems(), firstPlan() and stockConfigWith().
void requirePossible(const Recipe& recipe, const Model& model);

/// What is analysed at once: one chosen linear, or those of a group of the method of which some are chosen.
struct WorkUnit
{
    std::vector<std::size_t> positions;   ///< of the chosen linears, in RunJob::linears
    std::vector<const LinearInfo*> group; ///< all linears of the group; empty for a linear on its own
    std::size_t tap = 0;                  ///< whose statistics it takes
};
/// In the order of the model.
std::vector<WorkUnit> workUnits(const RunJob& job);

/// The units that share the statistics of one tap.
struct TapTask
{
    std::size_t tap = 0;
    std::vector<std::size_t> units;
};
/// Units with a linear for which `wanted(position)` holds, grouped by tap in ascending order.
std::vector<TapTask> tapTasks(const std::vector<WorkUnit>& units,
                              const std::function<bool(std::size_t position)>& wanted);

/// Above this smaller dimension a linear gets all BLAS threads to itself.
inline constexpr std::size_t largeLinear = 2048;

/// A shape that stands for all a unit reads.
LinearShape shapeOf(const RunJob& job, const WorkUnit& unit);

/// Bytes that statistics and one analysis of a linear need while it is made.
std::size_t analysisPeakBytes(LinearShape shape, double sparseShare);
/// The shape of which that is most.
LinearShape largestShape(std::span<const LinearShape> shapes, double sparseShare);
/// Bytes of a kept analysis, with the share of a sparse S as in Structure.
std::size_t analysisBytes(LinearShape shape, double sparseShare);

/// What a pool of analyses may use.
struct AnalysisPool
{
    const Model& model;
    const TaskContext& context;
    double sparseShare = 0.0; ///< of the method, as in Structure
    std::size_t threads = 1;
    std::size_t memoryLimit = 0; ///< bytes
};

/// Calls `work(index)` for [0, shapes.size()): linears up to largeLinear on a pool of one-thread workers, as many as
/// half of the memory limit allows (kept analyses may fill the rest), larger ones one after the other with all BLAS
/// threads. `shapes` are those of the largest linear of each piece of work. Throws Error(Memory) if one does not fit.
void runOnPool(const AnalysisPool& pool, const std::vector<LinearShape>& shapes,
               const std::function<void(std::size_t index)>& work);
/// The same with what a run may use.
void runOnPool(const RunJob& job, const std::vector<LinearShape>& shapes,
               const std::function<void(std::size_t index)>& work);

} // namespace rankwright
