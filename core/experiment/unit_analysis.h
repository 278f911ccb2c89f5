#pragma once

#include "core/allocation/allocation.h"
#include "core/decomposition/method.h"
#include "core/experiment/run_job.h"

#include <memory>
#include <optional>
#include <vector>

namespace rankwright {

/// Statistics that a unit of work is analysed on.
struct UnitStatistics
{
    const TapStatistics* tap = nullptr;        ///< of WorkUnit::tap; null where the method needs none
    const CalibrationSet* gradients = nullptr; ///< of every linear; null where neither method nor allocator needs them
};

/// An analysis of a unit: one of these, or none.
struct UnitAnalysis
{
    std::unique_ptr<Analysis> one;
    std::unique_ptr<GroupAnalysis> group;
    std::unique_ptr<SharedAnalysis> shared;
    double seconds = 0.0; ///< that it took

    bool empty() const { return !one && !group && !shared; }
    /// Singular values, planning curve and events of a linear of the unit.
    const Analysis& of(const WorkUnit& unit, const LinearInfo& linear) const;
};

/// A linear as its method takes it, without gradients. Throws as Model::readLinear().
LinearProblem loadProblem(const RunJob& job, const LinearInfo& info, const TapStatistics* statistics);
/// Points `problem` to its gradients, read into `read`, where there are any.
void addGradients(const CalibrationSet* gradients, const LinearInfo& info, LinearProblem& problem, TapStatistics& read);

/// Analyses a unit; where `nats` is given it gets the loss in nats per token at every rank, by position in
/// RunJob::linears, as far as there are gradients and the method can tell. Throws as the methods do.
UnitAnalysis analyseUnit(const RunJob& job, const WorkUnit& unit, const UnitStatistics& statistics,
                         std::vector<std::vector<double>>* nats = nullptr);

/// A factorisation as the recipe stores it, with the bias of the model where it has none of its own.
LinearWeights storedLinear(const RunJob& job, const Factorisation& factorisation, StructureKind structure,
                           const std::vector<float>& bias);

/// What became of one linear of a unit.
struct ReplacedLinear
{
    std::size_t position = 0;             ///< in RunJob::linears
    const Analysis* analysis = nullptr;   ///< singular values and events
    std::optional<LinearWeights> weights; ///< none where it stays as it is
    double totalEnergy = 0.0;
    double predictedLoss = 0.0;
    double measuredLoss = 0.0; ///< of what is stored, on the same statistics
    std::size_t addedBias = 0; ///< values of the bias of `weights`, where the linear had none
};

/// Factorises and measures the linears of a unit at their ranks of `plan`.
std::vector<ReplacedLinear> replaceUnit(const RunJob& job, const WorkUnit& unit, const AllocationPlan& plan,
                                        const UnitStatistics& statistics, const UnitAnalysis& analysis);

} // namespace rankwright
