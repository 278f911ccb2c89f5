#pragma once

#include "core/experiment/run_journal.h"
#include "core/experiment/unit_analysis.h"

#include <mutex>

namespace rankwright {

/// Wall seconds of the workers, split by what they did.
struct CompressionSeconds
{
    double analyse = 0.0;
    double factorise = 0.0;
};

/// Plans and computes the linears of a run.
class Compression
{
public:
    explicit Compression(const RunJob& job);

    /// Statistics of the dense model; null where the method needs none.
    void useStatistics(const CalibrationSet* calibration) { m_calibration = calibration; }
    /// Gradients of every linear (calibrateCurvature); null where neither method nor allocator needs them.
    void useGradients(const CalibrationSet* gradients) { m_gradients = gradients; }

    /// rankedItems() of the recipe.
    std::vector<AllocationItem> items() const;

    /// Fills loss curves, weights (relative losses, methods 25.7) and singular values from an analysis of every linear
    /// on the dense statistics. Analyses are kept for compressDense() as far as half of the memory limit allows and
    /// made again past it, which is noted.
    void analyseAll(std::vector<AllocationItem>& items);

    /// What is stored of a linear that its method treats alone, at each of `ranks` (below break-even), from its
    /// analysis on the dense statistics.
    std::vector<LinearWeights> weightsAt(std::size_t position, std::span<const std::size_t> ranks);

    /// All unfinished linears on the statistics of the dense model.
    void compressDense(const AllocationPlan& plan, RunJournal& journal);

    /// All unfinished linears in the order of the forward pass, on statistics of what is compressed before them.
    void compressSequential(const AllocationPlan& plan, const TokenWindows& windows, const PassOptions& options,
                            RunJournal& journal);

    /// Loss in nats per token at every rank (Analysis::curvatureCurve, SharedAnalysis::memberNats), by position; known
    /// after analyseAll() where the recipe takes gradients, but for groups of GroupAnalysis.
    const std::vector<std::vector<double>>& curvesInNats() const { return m_nats; }

    CompressionSeconds seconds() const;

private:
    UnitStatistics statisticsOf(const TapStatistics* tap) const { return {.tap = tap, .gradients = m_gradients}; }
    UnitStatistics statisticsOf(const TapStatistics& dense) const
    {
        return statisticsOf(m_calibration ? &dense : nullptr);
    }
    /// Counts its seconds; `inNats` asks for the unit's curves of m_nats too.
    UnitAnalysis analyse(const WorkUnit& unit, const UnitStatistics& statistics, bool inNats = false);
    /// Factorises, measures and records what of a unit is not finished.
    void finish(const WorkUnit& unit, const AllocationPlan& plan, const UnitStatistics& statistics,
                const UnitAnalysis& analysis, RunJournal& journal);
    void record(const ReplacedLinear& replaced, const AllocationPlan& plan, double seconds, RunJournal& journal);
    /// What a linear that stays as it is has in the end.
    StoredRank leftForm(const LinearInfo& info, const AllocationPlan& plan) const;
    LinearShape largestOf(const TapTask& task) const;
    /// Gives items their curves from the analysis of a unit.
    void describe(const WorkUnit& unit, const UnitAnalysis& analysis, std::vector<AllocationItem>& items) const;
    void compressTap(const TapTask& task, const AllocationPlan& plan, const TapInfo& tap,
                     SequentialStatistics& statistics, const BlockWeights& current, RunJournal& journal);

    const RunJob& m_job;
    const CalibrationSet* m_calibration = nullptr;
    const CalibrationSet* m_gradients = nullptr;
    std::vector<WorkUnit> m_units;
    std::vector<std::vector<std::size_t>> m_ranked; ///< positions of every item
    std::vector<std::size_t> m_itemOf;              ///< by position
    mutable std::mutex m_mutex;
    CompressionSeconds m_seconds;
    std::vector<UnitAnalysis> m_kept; ///< by unit
    std::vector<std::vector<double>> m_nats;
    std::size_t m_keptBytes = 0;
};

} // namespace rankwright
