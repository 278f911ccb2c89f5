#include "core/evaluation/evaluation_memory.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/calibration/moment_sums.h"
#include "core/model/forward_buffers.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace rankwright {

namespace {

/// Of the largest block, as it is stored.
std::size_t blockBytes(const Model& model)
{
    std::vector<std::size_t> bytes(model.config().blocks);
    for (const LinearInfo& linear : model.linears())
        bytes[linear.block] += parameterCount(linear.stored(), linear.shape) * sizeof(float);
    return *std::ranges::max_element(bytes);
}

std::size_t rotaryBytes(const ModelConfig& config, std::size_t length)
{
    return length * config.headWidth * sizeof(float);
}

std::size_t stateBytes(const ModelConfig& config, std::size_t length)
{
    return length * config.hiddenSize * sizeof(float);
}

/// Of a thread that brings a window through a block: buffers for `rows` of its tokens, with what factors take, keys,
/// values and scores; its states, twice where they come from a file.
std::size_t forwardBytes(const Model& model, std::size_t length, std::size_t rows)
{
    const ModelConfig& config = model.config();
    std::size_t widest = 0;
    for (const LinearInfo& linear : model.linears())
        widest = std::max(widest, linear.shape.columns);
    const std::size_t keys = config.keyValueHeads * config.headWidth;
    const std::size_t scores = config.heads / config.keyValueHeads * std::min(length, queriesPerCall) * length;
    return (rows * (floatsPerRow(config) + widest) + 2 * length * keys + scores) * sizeof(float) +
           2 * stateBytes(config, length);
}

std::size_t logitBytes(const ModelConfig& config, std::size_t length)
{
    return std::min(length, Head::chunkRows) * (config.vocabularySize + config.hiddenSize) * sizeof(float);
}

/// Adds heads, which are held where that leaves two thirds of the limit and room for a thread; else every thread reads
/// them in parts.
EvaluationMemory withHeads(EvaluationMemory memory, std::size_t heads, std::size_t parts, std::size_t memoryLimit)
{
    memory.holdsHeads = heads <= memoryLimit / 3 && memory.least() + heads <= memoryLimit;
    if (memory.holdsHeads)
        memory.shared += heads;
    else
        memory.worker += parts;
    return memory;
}

} // namespace

EvaluationMemory perplexityMemory(const Model& model, std::size_t length, std::size_t memoryLimit)
{
    const ModelConfig& config = model.config();
    return withHeads(
        {.shared = blockBytes(model) + rotaryBytes(config, length),
         .worker = forwardBytes(model, length, std::min(length, rowsPerCall)) + logitBytes(config, length)},
        headBytes(config), headPartBytes(config), memoryLimit);
}

EvaluationMemory divergenceMemory(const Model& original, const Model& other, std::size_t length,
                                  std::size_t memoryLimit)
{
    EvaluationMemory memory;
    std::size_t heads = 0;
    std::size_t parts = 0;
    for (const Model* model : {&original, &other}) {
        const ModelConfig& config = model->config();
        memory.shared = std::max(memory.shared, blockBytes(*model) + rotaryBytes(config, length));
        memory.worker = std::max(memory.worker, forwardBytes(*model, length, std::min(length, rowsPerCall)));
        // A model with replaced linears shares the head of the one it was made from.
        if (model == &original || &other.checkpoint() != &original.checkpoint())
            heads += headBytes(config);
        parts += headPartBytes(config);
    }
    // Beside what brings windows through the other model: the states of the original behind its last block.
    memory.worker += stateBytes(original.config(), length) + logitBytes(original.config(), length) +
                     logitBytes(other.config(), length);
    return withHeads(memory, heads, parts, memoryLimit);
}

std::size_t expansionBytes(const Model& model)
{
    std::size_t largest = 1;
    for (const LinearInfo& linear : model.linears())
        largest = std::max(largest, linear.shape.parameters());
    return 2 * largest * sizeof(double);
}

EvaluationMemory linearErrorMemory(const Model& model, std::size_t length)
{
    std::size_t widest = 0;
    for (const LinearInfo& linear : model.linears())
        widest = std::max(widest, linear.shape.rows);
    // The block of both models, and what their linears differ by.
    return {.shared = blockBytes(model) + 2 * largestBlockBytes(model) + expansionBytes(model) +
                      rotaryBytes(model.config(), length),
            .worker = forwardBytes(model, length, length) + 2 * rowsPerCall * widest * sizeof(float)};
}

std::size_t fittingThreads(const Model& model, const EvaluationMemory& memory, std::size_t length,
                           const PassOptions& options)
{
    const std::size_t limit = effectiveMemoryLimit(options);
    if (memory.least() > limit)
        throw Error(ErrorKind::Memory,
                    fmt::format("evaluating on windows of {} tokens takes {}, the memory limit is {}; raise the limit "
                                "or take shorter windows",
                                length, formatBytes(memory.least()), formatBytes(limit)),
                    {.file = model.checkpoint().path()});
    return std::clamp<std::size_t>((limit - memory.shared) / memory.worker, 1, effectiveThreads(options));
}

} // namespace rankwright
