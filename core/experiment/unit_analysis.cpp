#include "core/experiment/unit_analysis.h"

#include "core/base/stopwatch.h"
#include "core/experiment/linear_groups.h"

#include <algorithm>

namespace rankwright {

namespace {

std::size_t memberOf(const WorkUnit& unit, const LinearInfo& info)
{
    return static_cast<std::size_t>(std::find(unit.group.begin(), unit.group.end(), &info) - unit.group.begin());
}

/// Gradients where the method itself takes them, not only the allocator.
const CalibrationSet* gradientsOfMethod(const RunJob& job, const UnitStatistics& statistics)
{
    return job.method.needsGradients() ? statistics.gradients : nullptr;
}

/// Values that the bias of what is stored adds to a linear with `bias`.
std::size_t addedBias(const LinearWeights& weights, const std::vector<float>& bias)
{
    return bias.empty() ? weights.bias.size() : 0;
}

/// The loss of what is stored; where the linear stays as it is that is the predicted one too.
void measure(const RunJob& job, const LinearProblem& problem, ReplacedLinear& replaced)
{
    if (replaced.weights) {
        replaced.measuredLoss =
            job.method.measure(job.device, problem, job.recipe.parameters, expandLinear(job.device, *replaced.weights),
                               biasChange(problem.bias, replaced.weights->bias));
        replaced.addedBias = addedBias(*replaced.weights, problem.bias);
    } else {
        replaced.measuredLoss = job.method.measure(job.device, problem, job.recipe.parameters, problem.W, {});
        replaced.predictedLoss = replaced.measuredLoss;
    }
}

std::vector<ReplacedLinear> replaceOne(const RunJob& job, const WorkUnit& unit, const AllocationPlan& plan,
                                       const UnitStatistics& statistics, const Analysis& analysis)
{
    const std::size_t position = unit.positions.front();
    const LinearInfo& info = *job.linears[position];
    const AllocatedRank& rank = plan.ranks[position];
    LinearProblem problem = loadProblem(job, info, statistics.tap);
    TapStatistics gradients;
    addGradients(gradientsOfMethod(job, statistics), info, problem, gradients);
    std::vector<ReplacedLinear> result(1);
    ReplacedLinear& replaced = result.front();
    replaced.position = position;
    replaced.analysis = &analysis;
    replaced.totalEnergy = analysis.totalEnergy();
    if (rank.structure != StructureKind::Dense) {
        replaced.predictedLoss = analysis.loss(rank.rank);
        replaced.weights = storedLinear(job, analysis.factorize(rank.rank), rank.structure, problem.bias);
    }
    measure(job, problem, replaced);
    return result;
}

std::vector<ReplacedLinear> replaceShared(const RunJob& job, const WorkUnit& unit, const AllocationPlan& plan,
                                          const UnitStatistics& statistics, const SharedAnalysis& analysis)
{
    const LoadedGroup loaded =
        loadGroup(job.model, job.device, unit.group, statistics.tap, gradientsOfMethod(job, statistics));
    const AllocatedRank& rank = plan.ranks[unit.positions.front()];
    std::vector<std::shared_ptr<const LinearWeights>> parts(unit.group.size());
    if (rank.structure != StructureKind::Dense) {
        std::vector<std::size_t> rows;
        for (const LinearInfo* info : unit.group)
            rows.push_back(info->shape.rows);
        parts = splitRows(
            storeFactorisation(job.device, analysis.factorize(rank.rank), rank.structure, job.recipe.storage), rows);
    }
    std::vector<ReplacedLinear> result;
    for (const std::size_t position : unit.positions) {
        const std::size_t member = memberOf(unit, *job.linears[position]);
        const LinearProblem& problem = loaded.problem.members[member].problem;
        const std::vector<double>& losses = analysis.memberLosses(member);
        ReplacedLinear replaced;
        replaced.position = position;
        replaced.analysis = &analysis;
        replaced.totalEnergy = losses.front();
        if (parts[member]) {
            replaced.predictedLoss = losses[rank.rank];
            replaced.weights = *parts[member];
            if (replaced.weights->bias.empty())
                replaced.weights->bias = problem.bias;
        }
        measure(job, problem, replaced);
        result.push_back(std::move(replaced));
    }
    return result;
}

std::vector<ReplacedLinear> replaceGroup(const RunJob& job, const WorkUnit& unit, const AllocationPlan& plan,
                                         const UnitStatistics& statistics, const GroupAnalysis& analysis)
{
    const LoadedGroup loaded = loadGroup(job.model, job.device, unit.group, statistics.tap);
    std::vector<ReplacedLinear> result;
    std::vector<std::size_t> members; // of the results
    std::vector<std::optional<std::size_t>> ranks(unit.group.size());
    for (const std::size_t position : unit.positions) {
        members.push_back(memberOf(unit, *job.linears[position]));
        const Analysis& own = analysis.member(members.back());
        ReplacedLinear replaced;
        replaced.position = position;
        replaced.analysis = &own;
        replaced.totalEnergy = own.totalEnergy();
        result.push_back(std::move(replaced));
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
        LinearWeights weights = storedLinear(job, *factors[member], plan.ranks[result[i].position].structure,
                                             loaded.problem.members[member].problem.bias);
        exact[member] = Replacement{factors[member]->approximation(job.device), weights.bias};
        stored[member] = Replacement{expandLinear(job.device, weights), weights.bias};
        result[i].addedBias = addedBias(weights, loaded.problem.members[member].problem.bias);
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

} // namespace

const Analysis& UnitAnalysis::of(const WorkUnit& unit, const LinearInfo& linear) const
{
    if (one)
        return *one;
    if (shared)
        return *shared;
    return group->member(memberOf(unit, linear));
}

LinearProblem loadProblem(const RunJob& job, const LinearInfo& info, const TapStatistics* statistics)
{
    LoadedLinear linear = loadLinear(job.model, job.device, info);
    return {.name = info.name, .W = std::move(linear.W), .statistics = statistics, .bias = std::move(linear.bias)};
}

void addGradients(const CalibrationSet* gradients, const LinearInfo& info, LinearProblem& problem, TapStatistics& read)
{
    if (gradients == nullptr)
        return;
    read = gradients->load(info.index);
    problem.gradients = &read;
}

UnitAnalysis analyseUnit(const RunJob& job, const WorkUnit& unit, const UnitStatistics& statistics,
                         std::vector<std::vector<double>>* nats)
{
    const Stopwatch watch;
    const bool inNats = nats != nullptr && statistics.gradients != nullptr;
    UnitAnalysis result;
    if (unit.group.empty()) {
        const LinearInfo& info = *job.linears[unit.positions.front()];
        LinearProblem problem = loadProblem(job, info, statistics.tap);
        TapStatistics gradients;
        addGradients(statistics.gradients, info, problem, gradients);
        result.one = job.method.analyze(job.device, problem, job.recipe.parameters);
        if (inNats)
            (*nats)[unit.positions.front()] = result.one->curvatureCurve(job.device, problem);
    } else if (job.method.sharesLatents()) {
        const LoadedGroup loaded = loadGroup(job.model, job.device, unit.group, statistics.tap, statistics.gradients);
        result.shared = job.method.analyzeShared(job.device, loaded.problem, job.recipe.parameters);
        if (inNats)
            for (const std::size_t position : unit.positions)
                (*nats)[position] =
                    result.shared->memberNats(job.device, loaded.problem, memberOf(unit, *job.linears[position]));
    } else {
        result.group = job.method.analyzeGroup(
            job.device, loadGroup(job.model, job.device, unit.group, statistics.tap).problem, job.recipe.parameters);
    }
    result.seconds = watch.seconds();
    return result;
}

LinearWeights storedLinear(const RunJob& job, const Factorisation& factorisation, StructureKind structure,
                           const std::vector<float>& bias)
{
    LinearWeights weights = storeFactorisation(job.device, factorisation, structure, job.recipe.storage);
    if (weights.bias.empty())
        weights.bias = bias;
    return weights;
}

std::vector<ReplacedLinear> replaceUnit(const RunJob& job, const WorkUnit& unit, const AllocationPlan& plan,
                                        const UnitStatistics& statistics, const UnitAnalysis& analysis)
{
    return analysis.one      ? replaceOne(job, unit, plan, statistics, *analysis.one)
           : analysis.shared ? replaceShared(job, unit, plan, statistics, *analysis.shared)
                             : replaceGroup(job, unit, plan, statistics, *analysis.group);
}

} // namespace rankwright
