#include "core/experiment/compression.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/stopwatch.h"
#include "core/decomposition/refit.h"
#include "core/experiment/linear_groups.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <optional>

namespace rankwright {

namespace {

std::size_t memberOf(const WorkUnit& unit, const LinearInfo* info)
{
    return static_cast<std::size_t>(std::find(unit.group.begin(), unit.group.end(), info) - unit.group.begin());
}

} // namespace

/// An analysis of a unit: one of these.
struct Compression::Kept
{
    std::unique_ptr<Analysis> one;
    std::unique_ptr<GroupAnalysis> group;
    std::unique_ptr<SharedAnalysis> shared;
    double seconds = 0.0;

    bool empty() const { return !one && !group && !shared; }
};

/// What became of one linear of a unit.
struct Compression::Replaced
{
    std::size_t position = 0;
    const Analysis* analysis = nullptr;   ///< singular values and events
    std::optional<LinearWeights> weights; ///< none where it stays as it is
    double totalEnergy = 0.0;
    double predictedLoss = 0.0;
    double measuredLoss = 0.0;
};

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

Compression::~Compression() = default;

LinearProblem Compression::load(const LinearInfo& info, const TapStatistics* statistics) const
{
    LoadedLinear linear = loadLinear(m_job.model, m_job.device, info);
    return {.name = info.name, .W = std::move(linear.W), .statistics = statistics, .bias = std::move(linear.bias)};
}

void Compression::addGradients(const LinearInfo& info, LinearProblem& problem, TapStatistics& gradients) const
{
    if (m_gradients == nullptr)
        return;
    gradients = m_gradients->load(info.index);
    problem.gradients = &gradients;
}

Compression::Kept Compression::analyse(const WorkUnit& unit, const TapStatistics* statistics, bool inNats)
{
    const Stopwatch watch;
    Kept kept;
    if (unit.group.empty()) {
        const LinearInfo& info = *m_job.linears[unit.positions.front()];
        LinearProblem problem = load(info, statistics);
        TapStatistics gradients;
        addGradients(info, problem, gradients);
        kept.one = m_job.method.analyze(m_job.device, problem, m_job.recipe.parameters);
        if (inNats && problem.gradients != nullptr)
            m_nats[unit.positions.front()] = kept.one->curvatureCurve(m_job.device, problem);
    } else if (m_job.method.sharesLatents()) {
        const LoadedGroup loaded = loadGroup(m_job.model, m_job.device, unit.group, statistics, m_gradients);
        kept.shared = m_job.method.analyzeShared(m_job.device, loaded.problem, m_job.recipe.parameters);
        for (const std::size_t position : unit.positions)
            if (inNats && m_gradients != nullptr)
                m_nats[position] =
                    kept.shared->memberNats(m_job.device, loaded.problem, memberOf(unit, m_job.linears[position]));
    } else {
        kept.group = m_job.method.analyzeGroup(m_job.device,
                                               loadGroup(m_job.model, m_job.device, unit.group, statistics).problem,
                                               m_job.recipe.parameters);
    }
    kept.seconds = watch.seconds();
    const std::lock_guard lock(m_mutex);
    m_seconds.analyse += kept.seconds;
    return kept;
}

LinearWeights Compression::stored(const Analysis& analysis, std::size_t rank, StructureKind structure,
                                  const std::vector<float>& bias) const
{
    LinearWeights weights = storeFactorisation(m_job.device, analysis.factorize(rank), structure, m_job.recipe.storage);
    if (weights.bias.empty())
        weights.bias = bias;
    return weights;
}

std::vector<LinearWeights> Compression::weightsAt(std::size_t position, std::span<const std::size_t> ranks)
{
    const auto unit =
        std::ranges::find_if(m_units, [position](const WorkUnit& each) { return each.positions.front() == position; });
    const Kept& kept = m_kept[static_cast<std::size_t>(unit - m_units.begin())];
    Kept again;
    if (kept.empty()) {
        const TapStatistics statistics = m_calibration ? m_calibration->load(unit->tap) : TapStatistics{};
        again = analyse(*unit, m_calibration ? &statistics : nullptr);
    }
    const Analysis& analysis = kept.empty() ? *again.one : *kept.one;
    const std::vector<float> bias = loadLinear(m_job.model, m_job.device, *m_job.linears[position]).bias;
    std::vector<LinearWeights> result;
    result.reserve(ranks.size());
    for (const std::size_t rank : ranks)
        result.push_back(stored(analysis, rank, m_job.recipe.structure, bias));
    return result;
}

std::vector<Compression::Replaced> Compression::replaceOne(const WorkUnit& unit, const AllocationPlan& plan,
                                                           const TapStatistics* statistics,
                                                           const Analysis& analysis) const
{
    const std::size_t position = unit.positions.front();
    const AllocatedRank& rank = plan.ranks[position];
    LinearProblem problem = load(*m_job.linears[position], statistics);
    TapStatistics gradients;
    if (m_job.method.needsGradients())
        addGradients(*m_job.linears[position], problem, gradients);
    Replaced replaced{
        .position = position, .analysis = &analysis, .weights = {}, .totalEnergy = analysis.totalEnergy()};
    if (rank.structure == StructureKind::Dense) {
        replaced.measuredLoss = m_job.method.measure(m_job.device, problem, m_job.recipe.parameters, problem.W, {});
        replaced.predictedLoss = replaced.measuredLoss;
    } else {
        replaced.predictedLoss = analysis.loss(rank.rank);
        replaced.weights = stored(analysis, rank.rank, rank.structure, problem.bias);
        replaced.measuredLoss = m_job.method.measure(m_job.device, problem, m_job.recipe.parameters,
                                                     expandLinear(m_job.device, *replaced.weights),
                                                     biasChange(problem.bias, replaced.weights->bias));
    }
    std::vector<Replaced> result;
    result.push_back(std::move(replaced));
    return result;
}

std::vector<Compression::Replaced> Compression::replaceShared(const WorkUnit& unit, const AllocationPlan& plan,
                                                              const TapStatistics* statistics,
                                                              const SharedAnalysis& analysis) const
{
    const LoadedGroup loaded = loadGroup(m_job.model, m_job.device, unit.group, statistics,
                                         m_job.method.needsGradients() ? m_gradients : nullptr);
    const AllocatedRank& rank = plan.ranks[unit.positions.front()];
    std::vector<std::shared_ptr<const LinearWeights>> parts(unit.group.size());
    if (rank.structure != StructureKind::Dense) {
        std::vector<std::size_t> rows;
        for (const LinearInfo* info : unit.group)
            rows.push_back(info->shape.rows);
        parts = splitRows(
            storeFactorisation(m_job.device, analysis.factorize(rank.rank), rank.structure, m_job.recipe.storage),
            rows);
    }
    std::vector<Replaced> result;
    for (const std::size_t position : unit.positions) {
        const std::size_t member = memberOf(unit, m_job.linears[position]);
        const LinearProblem& problem = loaded.problem.members[member].problem;
        Replaced replaced{.position = position,
                          .analysis = &analysis,
                          .weights = {},
                          .totalEnergy = analysis.memberLosses(member).front()};
        if (parts[member]) {
            replaced.weights = *parts[member];
            if (replaced.weights->bias.empty())
                replaced.weights->bias = problem.bias;
            replaced.predictedLoss = analysis.memberLosses(member)[rank.rank];
            replaced.measuredLoss = m_job.method.measure(m_job.device, problem, m_job.recipe.parameters,
                                                         expandLinear(m_job.device, *replaced.weights),
                                                         biasChange(problem.bias, replaced.weights->bias));
        } else {
            replaced.measuredLoss = m_job.method.measure(m_job.device, problem, m_job.recipe.parameters, problem.W, {});
            replaced.predictedLoss = replaced.measuredLoss;
        }
        result.push_back(std::move(replaced));
    }
    return result;
}

std::vector<Compression::Replaced> Compression::replaceGroup(const WorkUnit& unit, const AllocationPlan& plan,
                                                             const TapStatistics* statistics,
                                                             const GroupAnalysis& analysis) const
{
    const LoadedGroup loaded = loadGroup(m_job.model, m_job.device, unit.group, statistics);
    const GroupProblem& problem = loaded.problem;
    std::vector<Replaced> result;
    std::vector<std::size_t> members; // of the results
    std::vector<std::optional<std::size_t>> ranks(unit.group.size());
    for (const std::size_t position : unit.positions) {
        members.push_back(memberOf(unit, m_job.linears[position]));
        const Analysis& own = analysis.member(members.back());
        result.push_back({.position = position, .analysis = &own, .weights = {}, .totalEnergy = own.totalEnergy()});
        if (plan.ranks[position].structure != StructureKind::Dense)
            ranks[members.back()] = plan.ranks[position].rank;
    }
    const std::vector<std::optional<Factorisation>> factors = analysis.factorize(ranks);
    std::vector<std::optional<Replacement>> exact(unit.group.size());
    std::vector<std::optional<Replacement>> stored(unit.group.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
        const std::size_t member = members[i];
        if (!factors[member])
            continue;
        const Factorisation& factorisation = *factors[member];
        const std::vector<float>& bias = problem.members[member].problem.bias;
        LinearWeights weights = storeFactorisation(m_job.device, factorisation,
                                                   plan.ranks[result[i].position].structure, m_job.recipe.storage);
        if (weights.bias.empty())
            weights.bias = bias;
        exact[member] = Replacement{factorisation.approximation(m_job.device), weights.bias};
        stored[member] = Replacement{expandLinear(m_job.device, weights), weights.bias};
        result[i].weights = std::move(weights);
    }
    const std::vector<double> predicted = analysis.losses(exact);
    const std::vector<double> measured = analysis.losses(stored);
    for (std::size_t i = 0; i < result.size(); ++i) {
        result[i].predictedLoss = predicted[members[i]];
        result[i].measuredLoss = measured[members[i]];
    }
    return result;
}

void Compression::record(const Replaced& replaced, const AllocatedRank& rank, double seconds, RunJournal& journal)
{
    const LinearInfo& info = *m_job.linears[replaced.position];
    LinearRecord record;
    LinearOutcome& outcome = record.outcome;
    outcome.name = info.name;
    outcome.rank = rank.structure == StructureKind::Dense ? info.shape.fullRank() : rank.rank;
    outcome.structure = rank.structure;
    outcome.entries = rank.entries;
    outcome.denseParameters = info.shape.parameters();
    outcome.keptParameters = rank.structure == StructureKind::Dense ? parameterCount(info.stored(), info.shape)
                                                                    : parameterCount(rank.stored(), info.shape);
    outcome.totalEnergy = replaced.totalEnergy;
    outcome.predictedLoss = replaced.predictedLoss;
    outcome.measuredLoss = replaced.measuredLoss;
    record.singularValues = replaced.analysis->singularValues();
    record.weights = replaced.weights;
    if (!rank.note.empty()) {
        outcome.notes.push_back(rank.note);
        m_job.context.note({rank.structure == StructureKind::Dense ? "storedDense" : "rankSetByHand", info.name,
                            rank.note, static_cast<double>(rank.rank)});
    }
    for (NumericEvent event : replaced.analysis->events()) {
        outcome.notes.push_back(event.message);
        event.linear = info.name;
        m_job.context.note(event);
    }
    journal.add(replaced.position, std::move(record), seconds);
}

void Compression::finish(const WorkUnit& unit, const AllocationPlan& plan, const TapStatistics* statistics,
                         const Kept& kept, RunJournal& journal)
{
    const Stopwatch watch;
    const std::vector<Replaced> all = kept.one      ? replaceOne(unit, plan, statistics, *kept.one)
                                      : kept.shared ? replaceShared(unit, plan, statistics, *kept.shared)
                                                    : replaceGroup(unit, plan, statistics, *kept.group);
    const double spent = watch.seconds();
    for (const Replaced& replaced : all)
        if (!journal.finished(replaced.position))
            record(replaced, plan.ranks[replaced.position],
                   (kept.seconds + spent) / static_cast<double>(unit.positions.size()), journal);
    const std::lock_guard lock(m_mutex);
    m_seconds.factorise += spent;
}

std::vector<AllocationItem> Compression::items() const
{
    for (const auto& [name, rank] : m_job.recipe.ranks) {
        const LinearInfo& info = m_job.model.linear(name);
        if (std::find(m_job.linears.begin(), m_job.linears.end(), &info) == m_job.linears.end())
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("rank {} is set by hand for a linear that is not chosen", rank),
                        {.file = {}, .tensor = name});
    }
    std::vector<AllocationItem> result;
    for (const std::vector<std::size_t>& positions : m_ranked) {
        std::vector<const LinearInfo*> together;
        together.reserve(positions.size());
        for (const std::size_t position : positions)
            together.push_back(m_job.linears[position]);
        AllocationItem item = itemOf(together);
        for (const LinearInfo* info : together) {
            const auto byHand = m_job.recipe.ranks.find(info->name);
            if (byHand == m_job.recipe.ranks.end())
                continue;
            if (item.rank && *item.rank != byHand->second)
                throw Error(ErrorKind::InvalidArgument,
                            fmt::format("ranks {} and {} are set by hand for linears that share their latents, and so "
                                        "have one rank: {}",
                                        *item.rank, byHand->second, item.name),
                            {.file = {}, .tensor = info->name});
            item.rank = byHand->second;
        }
        result.push_back(std::move(item));
    }
    return result;
}

void Compression::describe(const WorkUnit& unit, const Kept& kept, std::vector<AllocationItem>& items) const
{
    const bool inNats = findAllocator(m_job.recipe.allocation).needsGradients;
    for (const std::size_t position : unit.positions) {
        AllocationItem& item = items[m_itemOf[position]];
        const Analysis& analysis = kept.shared ? *kept.shared
                                   : kept.one  ? *kept.one
                                               : kept.group->member(memberOf(unit, m_job.linears[position]));
        item.singularValues = analysis.singularValues();
        if (!inNats) {
            item.setRelativeLoss(analysis.planningCurve());
        } else if (kept.shared && position != m_ranked[m_itemOf[position]].front()) {
            std::vector<double> sum = std::move(item.loss);
            std::transform(sum.begin(), sum.end(), m_nats[position].begin(), sum.begin(), std::plus<>());
            item.setLossInNats(std::move(sum));
        } else {
            item.setLossInNats(m_nats[position]);
        }
    }
}

LinearShape Compression::largestShape(const TapTask& task) const
{
    const double share = storedStructure(m_job.recipe).sparseShare;
    LinearShape largest;
    for (const std::size_t unit : task.units) {
        const LinearShape shape = shapeOf(m_job, m_units[unit]);
        if (analysisPeakBytes(shape, share) > analysisPeakBytes(largest, share))
            largest = shape;
    }
    return largest;
}

void Compression::analyseAll(std::vector<AllocationItem>& items)
{
    const bool keep = m_job.recipe.sequential == SequentialMode::Dense;
    const std::vector<TapTask> tasks = tapTasks(m_units, [](std::size_t) { return true; });
    std::vector<LinearShape> shapes;
    shapes.reserve(tasks.size());
    for (const TapTask& task : tasks)
        shapes.push_back(largestShape(task));
    std::size_t done = 0;
    std::size_t dropped = 0;
    runOnPool(m_job, shapes, [&](std::size_t taskIndex) {
        const TapTask& task = tasks[taskIndex];
        const TapStatistics statistics = m_calibration ? m_calibration->load(task.tap) : TapStatistics{};
        for (const std::size_t index : task.units) {
            m_job.context.checkStop();
            const WorkUnit& unit = m_units[index];
            Kept kept = analyse(unit, m_calibration ? &statistics : nullptr, takesGradients(m_job.recipe));
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
        shapes.push_back(largestShape(task));
    runOnPool(m_job, shapes, [&](std::size_t taskIndex) {
        const TapTask& task = tasks[taskIndex];
        const TapStatistics statistics = m_calibration ? m_calibration->load(task.tap) : TapStatistics{};
        const TapStatistics* known = m_calibration ? &statistics : nullptr;
        for (const std::size_t index : task.units) {
            m_job.context.checkStop();
            Kept kept = std::move(m_kept[index]);
            if (kept.empty())
                kept = analyse(m_units[index], known);
            finish(m_units[index], plan, known, kept, journal);
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
        Kept kept = analyse(unit, refits ? &dense : &collected);
        if (refits) { // of methods that treat every linear alone, see validateRecipe()
            const LinearInfo& info = *m_job.linears[unit.positions.front()];
            LinearProblem problem = load(info, &collected);
            if (m_job.method.needsGradients())
                addGradients(info, problem, gradients);
            kept.one = refitAnalysis(m_job.device, m_job.method, std::move(problem), m_job.recipe.parameters,
                                     std::move(kept.one), alternations);
            kept.seconds = analysisWatch.seconds();
        }
        finish(unit, plan, &collected, kept, journal);
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
