#include "core/experiment/stored_curvature.h"

#include "core/decomposition/curvature.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/linear_groups.h"
#include "core/experiment/value_bias.h"

#include <atomic>
#include <map>

namespace rankwright {

std::vector<double> storedCurvature(const RunJob& job, const CalibrationSet& moments, const CalibrationSet& gradients)
{
    const double share = storedStructure(job.recipe).sparseShare;
    std::map<std::size_t, std::vector<std::size_t>> byTap;
    for (std::size_t position = 0; position < job.linears.size(); ++position)
        byTap[job.linears[position]->tap].push_back(position);
    std::vector<std::vector<std::size_t>> tasks;
    std::vector<LinearShape> shapes;
    for (auto& [tap, positions] : byTap) {
        std::vector<LinearShape> ofTap;
        for (const std::size_t position : positions)
            ofTap.push_back(job.linears[position]->shape);
        shapes.push_back(largestShape(ofTap, share));
        tasks.push_back(std::move(positions));
    }
    const LinearSource source =
        withValueBias(job, &moments, [&job](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            LinearRecord record = readWholeLinear(job.folder, job.fingerprint, job.model, info);
            return record.weights ? std::make_shared<const LinearWeights>(std::move(*record.weights)) : nullptr;
        });
    std::vector<double> nats(job.linears.size(), 0.0);
    std::atomic<std::size_t> done = 0;
    runOnPool(job, shapes, [&](std::size_t task) {
        const TapStatistics inputs = moments.load(job.linears[tasks[task].front()]->tap);
        for (const std::size_t position : tasks[task]) {
            job.context.checkStop();
            const LinearInfo& info = *job.linears[position];
            if (const std::shared_ptr<const LinearWeights> weights = source(info)) {
                const TapStatistics outputs = gradients.load(info.index);
                LoadedLinear linear = loadLinear(job.model, job.device, info);
                const std::vector<double> change = biasChange(linear.bias, weights->bias);
                const LinearProblem problem{
                    .name = info.name, .W = std::move(linear.W), .statistics = &inputs, .gradients = &outputs};
                nats[position] = curvatureLoss(job.device, problem, expandLinear(job.device, *weights), 0.0, change);
            }
            job.context.report("forecast", info.name, ++done, job.linears.size());
        }
    });
    return nats;
}

} // namespace rankwright
