#include "core/experiment/run_job.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace rankwright {

std::vector<TapTask> tapTasks(const RunJob& job, const std::function<bool(std::size_t)>& wanted)
{
    std::map<std::size_t, TapTask> tasks;
    for (std::size_t position = 0; position < job.linears.size(); ++position) {
        if (!wanted(position))
            continue;
        TapTask& task = tasks[job.linears[position]->tap];
        task.tap = job.linears[position]->tap;
        task.positions.push_back(position);
    }
    std::vector<TapTask> result;
    result.reserve(tasks.size());
    for (auto& [tap, task] : tasks)
        result.push_back(std::move(task));
    return result;
}

std::size_t analysisBytes(LinearShape shape)
{
    // Basis and coordinates; nested methods keep two moments of the basis beside them.
    const std::size_t k = shape.fullRank();
    return sizeof(double) * (k * (shape.rows + shape.columns) + 2 * k * k);
}

std::size_t analysisPeakBytes(LinearShape shape)
{
    // C as loaded and one matrix of its size, W in float32 and float64 with two products of its size, the eigenproblem.
    const std::size_t k = shape.fullRank();
    return sizeof(double) * (2 * shape.columns * shape.columns + 4 * shape.parameters() + 2 * k * k) +
           analysisBytes(shape);
}

void runOnPool(const RunJob& job, const std::vector<LinearShape>& shapes, const std::function<void(std::size_t)>& work)
{
    std::vector<std::size_t> small;
    std::vector<std::size_t> large;
    std::size_t smallBytes = 1;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        const std::size_t bytes = analysisPeakBytes(shapes[i]);
        if (bytes > job.memoryLimit)
            throw Error(ErrorKind::Memory,
                        fmt::format("decomposing a {}x{} linear takes about {}, more than the memory limit of {}",
                                    shapes[i].rows, shapes[i].columns, formatBytes(bytes),
                                    formatBytes(job.memoryLimit)),
                        {.file = job.model.checkpoint().path()});
        if (shapes[i].fullRank() > largeLinear) {
            large.push_back(i);
        } else {
            small.push_back(i);
            smallBytes = std::max(smallBytes, bytes);
        }
    }
    {
        const BlasThreads one(1);
        const std::size_t workers = std::clamp<std::size_t>(job.memoryLimit / 2 / smallBytes, 1, job.threads);
        parallelFor(small.size(), workers, [&](std::size_t i, std::size_t) {
            job.context.checkStop();
            work(small[i]);
        });
    }
    const BlasThreads all(job.threads);
    for (const std::size_t i : large) {
        job.context.checkStop();
        work(i);
    }
}

} // namespace rankwright
