#include "core/experiment/compression.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/stopwatch.h"
#include "core/decomposition/refit.h"
#include "core/experiment/spectra.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

/// An analysis made while planning.
struct Compression::Kept
{
    std::unique_ptr<Analysis> analysis; ///< null where it was not kept
    double seconds = 0.0;
};

Compression::Compression(const RunJob& job)
    : m_job(job)
    , m_kept(job.linears.size())
{}

Compression::~Compression() = default;

LinearProblem Compression::load(const LinearInfo& info, const TapStatistics* statistics) const
{
    LoadedLinear linear = loadLinear(m_job.model, m_job.device, info);
    return {.name = info.name, .W = std::move(linear.W), .statistics = statistics, .bias = std::move(linear.bias)};
}

std::unique_ptr<Analysis> Compression::analyse(const LinearProblem& problem)
{
    const Stopwatch watch;
    auto analysis = m_job.method.analyze(m_job.device, problem, m_job.recipe.parameters);
    const std::lock_guard lock(m_mutex);
    m_seconds.analyse += watch.seconds();
    return analysis;
}

void Compression::finish(std::size_t position, const AllocatedRank& rank, const LinearProblem& problem,
                         const Analysis& analysis, double seconds, RunJournal& journal)
{
    const Stopwatch watch;
    const LinearInfo& info = *m_job.linears[position];
    LinearRecord record;
    LinearOutcome& outcome = record.outcome;
    outcome.name = info.name;
    outcome.rank = rank.rank;
    outcome.structure = rank.structure;
    outcome.denseParameters = info.shape.parameters();
    outcome.totalEnergy = analysis.totalEnergy();
    record.singularValues = analysis.singularValues();
    if (rank.structure == StructureKind::Dense) {
        outcome.keptParameters = parameterCount(info.structure, info.shape, info.rank);
        outcome.measuredLoss = measureLoss(m_job.device, problem.W, problem.W, problem.statistics);
        outcome.predictedLoss = outcome.measuredLoss;
    } else {
        outcome.keptParameters = parameterCount(rank.structure, info.shape, rank.rank);
        outcome.predictedLoss = analysis.loss(rank.rank);
        record.weights =
            storeFactorisation(m_job.device, analysis.factorize(rank.rank), rank.structure, m_job.recipe.storage);
        if (record.weights->bias.empty())
            record.weights->bias = problem.bias;
        outcome.measuredLoss = measureLoss(m_job.device, problem.W, expandLinear(m_job.device, *record.weights),
                                           problem.statistics, biasChange(problem.bias, record.weights->bias));
    }
    if (!rank.note.empty()) {
        outcome.notes.push_back(rank.note);
        m_job.context.note({rank.structure == StructureKind::Dense ? "storedDense" : "rankSetByHand", info.name,
                            rank.note, static_cast<double>(rank.rank)});
    }
    for (NumericEvent event : analysis.events()) {
        outcome.notes.push_back(event.message);
        event.linear = info.name;
        m_job.context.note(event);
    }
    const double spent = watch.seconds();
    {
        const std::lock_guard lock(m_mutex);
        m_seconds.factorise += spent;
    }
    journal.add(position, std::move(record), seconds + spent);
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
    for (const LinearInfo* info : m_job.linears) {
        AllocationItem item{.name = info->name,
                            .shape = info->shape,
                            .loss = {},
                            .weight = 1.0,
                            .rank = {},
                            .block = info->block,
                            .role = std::string(roleName(info->role))};
        const auto byHand = m_job.recipe.ranks.find(info->name);
        if (byHand != m_job.recipe.ranks.end())
            item.rank = byHand->second;
        result.push_back(std::move(item));
    }
    return result;
}

LinearShape Compression::largestShape(const TapTask& task) const
{
    LinearShape largest;
    for (const std::size_t position : task.positions) {
        const LinearShape shape = m_job.linears[position]->shape;
        if (analysisPeakBytes(shape) > analysisPeakBytes(largest))
            largest = shape;
    }
    return largest;
}

void Compression::analyseAll(std::vector<AllocationItem>& items)
{
    const bool keep = m_job.recipe.sequential == SequentialMode::Dense;
    const std::vector<TapTask> tasks = tapTasks(m_job, [](std::size_t) { return true; });
    std::vector<LinearShape> shapes;
    shapes.reserve(tasks.size());
    for (const TapTask& task : tasks)
        shapes.push_back(largestShape(task));
    std::size_t done = 0;
    std::size_t dropped = 0;
    runOnPool(m_job, shapes, [&](std::size_t index) {
        const TapTask& task = tasks[index];
        const TapStatistics statistics = m_calibration ? m_calibration->load(task.tap) : TapStatistics{};
        for (const std::size_t position : task.positions) {
            m_job.context.checkStop();
            const LinearInfo& info = *m_job.linears[position];
            const Stopwatch watch;
            auto analysis = analyse(load(info, m_calibration ? &statistics : nullptr));
            items[position].setRelativeLoss(analysis->planningCurve());
            items[position].singularValues = analysis->singularValues();
            std::size_t number = 0;
            {
                const std::lock_guard lock(m_mutex);
                m_kept[position].seconds = watch.seconds();
                const std::size_t bytes = analysisBytes(info.shape);
                if (keep && m_keptBytes + bytes <= m_job.memoryLimit / 2) {
                    m_keptBytes += bytes;
                    m_kept[position].analysis = std::move(analysis);
                } else {
                    ++dropped;
                }
                number = ++done;
            }
            m_job.context.report("analyse", info.name, number, m_job.linears.size());
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
        tapTasks(m_job, [&](std::size_t position) { return !journal.finished(position); });
    std::vector<LinearShape> shapes;
    shapes.reserve(tasks.size());
    for (const TapTask& task : tasks)
        shapes.push_back(largestShape(task));
    runOnPool(m_job, shapes, [&](std::size_t index) {
        const TapTask& task = tasks[index];
        const TapStatistics statistics = m_calibration ? m_calibration->load(task.tap) : TapStatistics{};
        for (const std::size_t position : task.positions) {
            m_job.context.checkStop();
            const Stopwatch watch;
            const LinearInfo& info = *m_job.linears[position];
            const LinearProblem problem = load(info, m_calibration ? &statistics : nullptr);
            Kept kept = std::move(m_kept[position]);
            if (!kept.analysis) {
                kept.analysis = analyse(problem);
                kept.seconds += watch.seconds();
            }
            finish(position, plan.ranks[position], problem, *kept.analysis, kept.seconds, journal);
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
    for (const std::size_t position : task.positions) {
        if (!journal.finished(position)) {
            open.push_back(position);
            shapes.push_back(m_job.linears[position]->shape);
        }
    }
    runOnPool(m_job, shapes, [&](std::size_t index) {
        const Stopwatch analysisWatch;
        LinearProblem problem = load(*m_job.linears[open[index]], refits ? &dense : &collected);
        auto analysis = analyse(problem);
        if (refits) {
            problem.statistics = &collected;
            analysis = refitAnalysis(m_job.device, m_job.method, problem, m_job.recipe.parameters, std::move(analysis),
                                     alternations);
        }
        finish(open[index], plan.ranks[open[index]], problem, *analysis, analysisWatch.seconds(), journal);
    });
}

void Compression::compressSequential(const AllocationPlan& plan, const TokenWindows& windows,
                                     const PassOptions& options, RunJournal& journal)
{
    const std::vector<TapTask> tasks = tapTasks(m_job, [](std::size_t) { return true; });
    const auto open = [&](const TapTask& task) {
        return std::any_of(task.positions.begin(), task.positions.end(),
                           [&](std::size_t position) { return !journal.finished(position); });
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
            for (const std::size_t position : task->positions) {
                const LinearInfo& info = *m_job.linears[position];
                LinearRecord record = readLinearFile(linearFile(m_job.folder, info.index), m_job.fingerprint, info);
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
