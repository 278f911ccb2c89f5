#include "core/experiment/compression.h"

#include "core/allocation/plan_totals.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/stopwatch.h"
#include "core/decomposition/refit.h"
#include "core/experiment/linear_groups.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace rankwright {

namespace {

/// The note of a plan on a linear that it leaves; plans do not know what is in factors already.
std::string leftNote(std::string note, StoredRank stored)
{
    constexpr std::string_view planned = "stored dense: ";
    const std::size_t at = note.find(planned);
    if (stored.structure != StructureKind::Dense && at != std::string::npos)
        note.replace(
            at, planned.size(),
            fmt::format("left as it is: stored as {} of rank {}, and ", structureName(stored.structure), stored.rank));
    return note;
}

} // namespace

Compression::Compression(const RunJob& job)
    : m_job(job)
    , m_units(workUnits(job))
    , m_kept(m_units.size())
    , m_nats(job.linears.size())
{
    m_ranked = rankedTogether(job.model, job.method, job.linears);
    m_itemOf.resize(job.linears.size());
    for (std::size_t item = 0; item < m_ranked.size(); ++item)
        for (const std::size_t position : m_ranked[item])
            m_itemOf[position] = item;
}

UnitAnalysis Compression::analyse(const WorkUnit& unit, const UnitStatistics& statistics, bool inNats)
{
    UnitAnalysis analysis = analyseUnit(m_job, unit, statistics, inNats ? &m_nats : nullptr);
    const std::lock_guard lock(m_mutex);
    m_seconds.analyse += analysis.seconds;
    return analysis;
}

std::vector<LinearWeights> Compression::weightsAt(std::size_t position, std::span<const std::size_t> ranks)
{
    const auto unit =
        std::ranges::find_if(m_units, [position](const WorkUnit& each) { return each.positions.front() == position; });
    const UnitAnalysis& kept = m_kept[static_cast<std::size_t>(unit - m_units.begin())];
    UnitAnalysis again;
    if (kept.empty()) {
        const TapStatistics statistics = m_calibration ? m_calibration->load(unit->tap) : TapStatistics{};
        again = analyse(*unit, statisticsOf(statistics));
    }
    const Analysis& analysis = kept.empty() ? *again.one : *kept.one;
    const std::vector<float> bias = loadLinear(m_job.model, m_job.device, *m_job.linears[position]).bias;
    std::vector<LinearWeights> result;
    result.reserve(ranks.size());
    for (const std::size_t rank : ranks)
        result.push_back(storedLinear(m_job, analysis.factorize(rank), m_job.recipe.structure, bias));
    return result;
}

StoredRank Compression::leftForm(const LinearInfo& info, const AllocationPlan& plan) const
{
    const auto owner = std::ranges::find(m_job.linears, &m_job.model.latentOwner(info));
    const bool replaced =
        owner != m_job.linears.end() &&
        plan.ranks[static_cast<std::size_t>(owner - m_job.linears.begin())].structure != StructureKind::Dense;
    return storedWhereLeft(m_job.model, info, replaced);
}

void Compression::record(const ReplacedLinear& replaced, const AllocationPlan& plan, double seconds,
                         RunJournal& journal)
{
    const LinearInfo& info = *m_job.linears[replaced.position];
    const AllocatedRank& rank = plan.ranks[replaced.position];
    LinearRecord record;
    LinearOutcome& outcome = record.outcome;
    outcome.name = info.name;
    outcome.left = rank.structure == StructureKind::Dense;
    const StoredRank stored = outcome.left ? leftForm(info, plan) : rank.stored();
    outcome.rank = stored.rank;
    outcome.structure = stored.structure;
    outcome.entries = stored.entries;
    outcome.addedBias = replaced.addedBias;
    outcome.denseParameters = info.shape.parameters();
    outcome.keptParameters = parameterCount(stored, info.shape);
    outcome.totalEnergy = replaced.totalEnergy;
    outcome.predictedLoss = replaced.predictedLoss;
    outcome.measuredLoss = replaced.measuredLoss;
    record.singularValues = replaced.analysis->singularValues();
    record.weights = replaced.weights;
    if (const std::string note = outcome.left ? leftNote(rank.note, stored) : rank.note; !note.empty()) {
        outcome.notes.push_back(note);
        m_job.context.note(
            {outcome.left ? "storedDense" : "rankSetByHand", info.name, note, static_cast<double>(rank.rank)});
    }
    for (NumericEvent event : replaced.analysis->events()) {
        outcome.notes.push_back(event.message);
        event.linear = info.name;
        m_job.context.note(event);
    }
    journal.add(replaced.position, std::move(record), seconds);
}

void Compression::finish(const WorkUnit& unit, const AllocationPlan& plan, const UnitStatistics& statistics,
                         const UnitAnalysis& analysis, RunJournal& journal)
{
    const Stopwatch watch;
    const std::vector<ReplacedLinear> all = replaceUnit(m_job, unit, plan, statistics, analysis);
    const double spent = watch.seconds();
    for (const ReplacedLinear& replaced : all)
        if (!journal.finished(replaced.position))
            record(replaced, plan, (analysis.seconds + spent) / static_cast<double>(unit.positions.size()), journal);
    const std::lock_guard lock(m_mutex);
    m_seconds.factorise += spent;
}

std::vector<AllocationItem> Compression::items() const
{
    return rankedItems(m_job.model, m_job.recipe, m_job.linears);
}

void Compression::describe(const WorkUnit& unit, const UnitAnalysis& analysis, std::vector<AllocationItem>& items) const
{
    const bool inNats = findAllocator(m_job.recipe.allocation).needsGradients;
    for (const std::size_t position : unit.positions) {
        AllocationItem& item = items[m_itemOf[position]];
        const Analysis& own = analysis.of(unit, *m_job.linears[position]);
        item.singularValues = own.singularValues();
        if (!inNats) {
            item.setRelativeLoss(own.planningCurve());
        } else if (analysis.shared && position != m_ranked[m_itemOf[position]].front()) {
            std::vector<double> sum = std::move(item.loss);
            std::transform(sum.begin(), sum.end(), m_nats[position].begin(), sum.begin(), std::plus<>());
            item.setLossInNats(std::move(sum));
        } else {
            item.setLossInNats(m_nats[position]);
        }
    }
}

LinearShape Compression::largestOf(const TapTask& task) const
{
    std::vector<LinearShape> shapes;
    for (const std::size_t unit : task.units)
        shapes.push_back(shapeOf(m_job, m_units[unit]));
    return largestShape(shapes, storedStructure(m_job.recipe).sparseShare);
}

void Compression::analyseAll(std::vector<AllocationItem>& items)
{
    const bool keep = m_job.recipe.sequential == SequentialMode::Dense;
    const std::vector<TapTask> tasks = tapTasks(m_units, [](std::size_t) { return true; });
    std::vector<LinearShape> shapes;
    shapes.reserve(tasks.size());
    for (const TapTask& task : tasks)
        shapes.push_back(largestOf(task));
    std::size_t done = 0;
    std::size_t dropped = 0;
    runOnPool(m_job, shapes, [&](std::size_t taskIndex) {
        const TapTask& task = tasks[taskIndex];
        const TapStatistics statistics = m_calibration ? m_calibration->load(task.tap) : TapStatistics{};
        for (const std::size_t index : task.units) {
            m_job.context.checkStop();
            const WorkUnit& unit = m_units[index];
            UnitAnalysis kept = analyse(unit, statisticsOf(statistics), takesGradients(m_job.recipe));
            describe(unit, kept, items);
            for (const std::size_t position : unit.positions) {
                std::size_t number = 0;
                {
                    const std::lock_guard lock(m_mutex);
                    number = ++done;
                }
                m_job.context.report("analyse", m_job.linears[position]->name, number, m_job.linears.size());
            }
            const std::lock_guard lock(m_mutex);
            const std::size_t bytes = analysisBytes(shapeOf(m_job, unit), storedStructure(m_job.recipe).sparseShare);
            if (keep && m_keptBytes + bytes <= m_job.memoryLimit / 2) {
                m_keptBytes += bytes;
                m_kept[index] = std::move(kept);
            } else {
                dropped += unit.positions.size();
            }
        }
    });
    if (keep && dropped > 0)
        m_job.context.note({"analysesRecomputed", "",
                            fmt::format("{} of {} analyses do not fit into half of the memory limit of {} and are made "
                                        "twice",
                                        dropped, m_job.linears.size(), formatBytes(m_job.memoryLimit)),
                            static_cast<double>(dropped)});
}

void Compression::compressDense(const AllocationPlan& plan, RunJournal& journal)
{
    const std::vector<TapTask> tasks =
        tapTasks(m_units, [&](std::size_t position) { return !journal.finished(position); });
    std::vector<LinearShape> shapes;
    shapes.reserve(tasks.size());
    for (const TapTask& task : tasks)
        shapes.push_back(largestOf(task));
    runOnPool(m_job, shapes, [&](std::size_t taskIndex) {
        const TapTask& task = tasks[taskIndex];
        const TapStatistics statistics = m_calibration ? m_calibration->load(task.tap) : TapStatistics{};
        for (const std::size_t index : task.units) {
            m_job.context.checkStop();
            UnitAnalysis kept = std::move(m_kept[index]);
            if (kept.empty())
                kept = analyse(m_units[index], statisticsOf(statistics));
            finish(m_units[index], plan, statisticsOf(statistics), kept, journal);
        }
    });
}

void Compression::compressTap(const TapTask& task, const AllocationPlan& plan, const TapInfo& tap,
                              SequentialStatistics& statistics, const BlockWeights& current, RunJournal& journal)
{
    const Stopwatch watch;
    const TapStatistics collected = statistics.collect(tap, current, m_job.context);
    {
        const std::lock_guard lock(m_mutex);
        m_seconds.analyse += watch.seconds();
    }
    const bool refits = refitsFactors(m_job.recipe.sequential);
    const TapStatistics dense = refits ? m_calibration->load(task.tap) : TapStatistics{};
    constexpr std::size_t mostAlternations = 20;
    const std::size_t alternations = m_job.recipe.sequential == SequentialMode::Alternate ? mostAlternations : 1;
    std::vector<std::size_t> open;
    std::vector<LinearShape> shapes;
    for (const std::size_t index : task.units) {
        const WorkUnit& unit = m_units[index];
        if (std::any_of(unit.positions.begin(), unit.positions.end(),
                        [&](std::size_t position) { return !journal.finished(position); })) {
            open.push_back(index);
            shapes.push_back(shapeOf(m_job, unit));
        }
    }
    runOnPool(m_job, shapes, [&](std::size_t index) {
        const Stopwatch analysisWatch;
        const WorkUnit& unit = m_units[open[index]];
        TapStatistics gradients; // as long as the analysis that points to them
        UnitAnalysis kept = analyse(unit, statisticsOf(refits ? &dense : &collected));
        if (refits) { // of methods that treat every linear alone, see validateRecipe()
            const LinearInfo& info = *m_job.linears[unit.positions.front()];
            LinearProblem problem = loadProblem(m_job, info, &collected);
            if (m_job.method.needsGradients())
                addGradients(m_gradients, info, problem, gradients);
            kept.one = refitAnalysis(m_job.device, m_job.method, std::move(problem), m_job.recipe.parameters,
                                     std::move(kept.one), alternations);
            kept.seconds = analysisWatch.seconds();
        }
        finish(unit, plan, statisticsOf(&collected), kept, journal);
    });
}

void Compression::compressSequential(const AllocationPlan& plan, const TokenWindows& windows,
                                     const PassOptions& options, RunJournal& journal)
{
    const std::vector<TapTask> tasks = tapTasks(m_units, [](std::size_t) { return true; });
    const auto open = [&](const TapTask& task) {
        return std::any_of(task.units.begin(), task.units.end(), [&](std::size_t unit) {
            return std::any_of(m_units[unit].positions.begin(), m_units[unit].positions.end(),
                               [&](std::size_t position) { return !journal.finished(position); });
        });
    };
    const auto lastOpen = std::find_if(tasks.rbegin(), tasks.rend(), open);
    if (lastOpen == tasks.rend())
        return;
    const std::size_t lastBlock = m_job.model.taps()[lastOpen->tap].block;
    SequentialStatistics statistics(m_job.model, m_job.device, windows, m_job.recipe.sequential, options);
    auto task = tasks.begin();
    for (std::size_t block = 0; block <= lastBlock; ++block) {
        m_job.context.checkStop();
        BlockWeights weights = *m_job.model.loadBlock(block);
        for (; task != tasks.end() && m_job.model.taps()[task->tap].block == block; ++task) {
            if (open(*task))
                compressTap(*task, plan, m_job.model.taps()[task->tap], statistics, weights, journal);
            for (const std::size_t unit : task->units)
                for (const std::size_t position : m_units[unit].positions) {
                    const LinearInfo& info = *m_job.linears[position];
                    LinearRecord record = readWholeLinear(m_job.folder, m_job.fingerprint, m_job.model, info);
                    if (record.weights)
                        weights.linears[static_cast<std::size_t>(info.role)] =
                            std::make_shared<const LinearWeights>(std::move(*record.weights));
                }
        }
        if (block < lastBlock)
            statistics.advance(block, weights, m_job.context);
    }
}

CompressionSeconds Compression::seconds() const
{
    const std::lock_guard lock(m_mutex);
    return m_seconds;
}

} // namespace rankwright
