#include "core/experiment/run_job.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/experiment/export_run.h"
#include "core/experiment/linear_groups.h"
#include "core/export/stock_biases.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace rankwright {

std::vector<const LinearInfo*> chosenLinears(const Model& model, const Recipe& recipe)
{
    std::vector<const LinearInfo*> chosen;
    for (const LinearInfo& linear : model.linears()) {
        if (recipeSelects(recipe, linear))
            chosen.push_back(&linear);
    }
    if (chosen.empty())
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("none of the {} linears is chosen; 'only' takes patterns of names such as "
                                "model.layers.0.* and roles such as q or down",
                                model.linears().size()),
                    {.file = recipe.model});
    static_cast<void>(rankedTogether(model, findMethod(recipe.method), chosen));
    return chosen;
}

std::vector<AllocationItem> rankedItems(const Model& model, const Recipe& recipe,
                                        std::span<const LinearInfo* const> linears)
{
    for (const auto& [name, rank] : recipe.ranks) {
        const LinearInfo& info = model.linear(name);
        if (std::find(linears.begin(), linears.end(), &info) == linears.end())
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("rank {} is set by hand for a linear that is not chosen", rank),
                        {.file = {}, .tensor = name});
    }
    std::vector<AllocationItem> result;
    for (const std::vector<std::size_t>& positions : rankedTogether(model, findMethod(recipe.method), linears)) {
        std::vector<const LinearInfo*> together;
        together.reserve(positions.size());
        for (const std::size_t position : positions)
            together.push_back(linears[position]);
        AllocationItem item = itemOf(together);
        for (const LinearInfo* info : together) {
            const auto byHand = recipe.ranks.find(info->name);
            if (byHand == recipe.ranks.end())
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

AllocationPlan firstPlan(const Recipe& recipe, const std::vector<AllocationItem>& items)
{
    const bool known = findAllocator(recipe.allocation).needsShapesOnly();
    return allocate(known ? recipe.allocation : "uniform", storedStructure(recipe), recipe.keptRatio, items);
}

namespace {

/// Roles of which the method gives linears a bias, or may do so.
std::vector<Role> biasedRoles(const Recipe& recipe, const Model& model, std::span<const LinearInfo* const> linears)
{
    const Method& method = findMethod(recipe.method);
    const bool updated = updatesBias(method, recipe.parameters);
    // Joint values and outputs fold the bias of the values into that of the outputs.
    const auto folded = [&](const LinearInfo& info) {
        return info.role == Role::O && model.config().queryKeyValueBias &&
               std::ranges::any_of(groupOf(model, method, info),
                                   [](const LinearInfo* other) { return other->role == Role::V; });
    };
    std::vector<Role> result;
    for (const LinearInfo* info : linears) {
        if (updated || folded(*info))
            result.push_back(info->role);
    }
    return result;
}

} // namespace

void requirePossible(const Recipe& recipe, const Model& model)
{
    validateWindowLimits(recipe);
    requireFreeTarget(recipe.out);
    checkMethod(findMethod(recipe.method), model);
    const std::vector<const LinearInfo*> linears = chosenLinears(model, recipe);
    static_cast<void>(firstPlan(recipe, rankedItems(model, recipe, linears)));
    if (!recipe.out.empty() && exportFormatFromName(recipe.exportFormat) == ExportFormat::Dense)
        static_cast<void>(stockConfigWith(model.config(), biasedRoles(recipe, model, linears), recipe.model));
}

std::vector<WorkUnit> workUnits(const RunJob& job)
{
    std::vector<WorkUnit> units;
    for (std::size_t position = 0; position < job.linears.size(); ++position) {
        const LinearInfo& info = *job.linears[position];
        std::vector<const LinearInfo*> group = groupOf(job.model, job.method, info);
        const auto known = std::find_if(units.begin(), units.end(), [&](const WorkUnit& unit) {
            return std::find(unit.group.begin(), unit.group.end(), &info) != unit.group.end();
        });
        if (known != units.end()) {
            known->positions.push_back(position);
            continue;
        }
        const std::size_t tap = group.empty() ? info.tap : group.front()->tap;
        units.push_back({{position}, std::move(group), tap});
    }
    return units;
}

std::vector<TapTask> tapTasks(const std::vector<WorkUnit>& units, const std::function<bool(std::size_t)>& wanted)
{
    std::map<std::size_t, TapTask> tasks;
    for (std::size_t unit = 0; unit < units.size(); ++unit) {
        if (std::none_of(units[unit].positions.begin(), units[unit].positions.end(), wanted))
            continue;
        TapTask& task = tasks[units[unit].tap];
        task.tap = units[unit].tap;
        task.units.push_back(unit);
    }
    std::vector<TapTask> result;
    result.reserve(tasks.size());
    for (auto& [tap, task] : tasks)
        result.push_back(std::move(task));
    return result;
}

LinearShape shapeOf(const RunJob& job, const WorkUnit& unit)
{
    return unit.group.empty() ? job.linears[unit.positions.front()]->shape : shapeOfGroup(unit.group);
}

std::size_t analysisBytes(LinearShape shape, double sparseShare)
{
    // Basis and coordinates; nested methods keep two moments of the basis beside them.
    const std::size_t k = shape.fullRank();
    const std::size_t basis = k * (shape.rows + shape.columns);
    // Beside an S: the weights, C and the last factors.
    const std::size_t more = sparseShare > 0.0 ? shape.parameters() + shape.columns * shape.columns + basis : 2 * k * k;
    return sizeof(double) * (basis + more);
}

std::size_t analysisPeakBytes(LinearShape shape, double sparseShare)
{
    // C as loaded and one matrix of its size, W in float32 and float64 with two products of its size, the eigenproblem.
    const std::size_t k = shape.fullRank();
    // For an S its candidates and their sizes beside them.
    const std::size_t products = sparseShare > 0.0 ? 7 : 4;
    return sizeof(double) * (2 * shape.columns * shape.columns + products * shape.parameters() + 2 * k * k) +
           analysisBytes(shape, sparseShare);
}

LinearShape largestShape(std::span<const LinearShape> shapes, double sparseShare)
{
    return *std::ranges::max_element(shapes, {},
                                     [&](LinearShape shape) { return analysisPeakBytes(shape, sparseShare); });
}

void runOnPool(const RunJob& job, const std::vector<LinearShape>& shapes, const std::function<void(std::size_t)>& work)
{
    runOnPool(AnalysisPool{.model = job.model,
                           .context = job.context,
                           .sparseShare = storedStructure(job.recipe).sparseShare,
                           .threads = job.threads,
                           .memoryLimit = job.memoryLimit},
              shapes, work);
}

void runOnPool(const AnalysisPool& pool, const std::vector<LinearShape>& shapes,
               const std::function<void(std::size_t)>& work)
{
    std::vector<std::size_t> small;
    std::vector<std::size_t> large;
    std::size_t smallBytes = 1;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        const std::size_t bytes = analysisPeakBytes(shapes[i], pool.sparseShare);
        if (bytes > pool.memoryLimit)
            throw Error(ErrorKind::Memory,
                        fmt::format("decomposing a {}x{} linear takes about {}, more than the memory limit of {}",
                                    shapes[i].rows, shapes[i].columns, formatBytes(bytes),
                                    formatBytes(pool.memoryLimit)),
                        {.file = pool.model.checkpoint().path()});
        if (shapes[i].fullRank() > largeLinear) {
            large.push_back(i);
        } else {
            small.push_back(i);
            smallBytes = std::max(smallBytes, bytes);
        }
    }
    {
        const BlasThreads one(1);
        const std::size_t workers = std::clamp<std::size_t>(pool.memoryLimit / 2 / smallBytes, 1, pool.threads);
        parallelFor(small.size(), workers, [&](std::size_t i, std::size_t) {
            pool.context.checkStop();
            work(small[i]);
        });
    }
    const BlasThreads all(pool.threads);
    for (const std::size_t i : large) {
        pool.context.checkStop();
        work(i);
    }
}

} // namespace rankwright
