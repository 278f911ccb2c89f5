#include "core/model/attention.h"

#include "core/base/parallel.h"
#include "core/model/attention_rows.h"

#include <algorithm>

namespace rankwright {

namespace {

void attendBlock(const Device& device, const AttentionRows& rows, const QueryBlock& block,
                 ConstMatrixView<float> queries, std::size_t first, const KeyValueCache& cache, std::size_t width,
                 MatrixView<float> mixed, ForwardScratch::Buffers::Worker& worker)
{
    const std::size_t keys = first + block.begin + block.rows;
    const std::size_t stacked = rows.sharing() * block.rows;
    const MatrixView<float> rotated = worker.queries.view(stacked, width);
    rows.gather(block, queries, rotated);
    rows.rotate(block, rotated);
    const ConstMatrixView<float> K = cache.keys.view().rowRange(0, keys).columnRange(block.group * width, width);
    const ConstMatrixView<float> V = cache.values.view().rowRange(0, keys).columnRange(block.group * width, width);
    const MatrixView<float> scores = worker.scores.view(stacked, keys);
    device.gemm(Transpose::No, Transpose::Yes, 1.0F, rotated, K, 0.0F, scores);
    rows.normalise(block, scores);
    device.gemm(Transpose::No, Transpose::No, 1.0F, scores, V, 0.0F, rotated);
    rows.scatter(block, rotated, mixed);
}

} // namespace

void attend(const Device& device, const ModelConfig& config, const RotaryTable& rotary, ConstMatrixView<float> queries,
            std::size_t first, const KeyValueCache& cache, MatrixView<float> mixed, std::size_t threads,
            std::span<ForwardScratch::Buffers::Worker> workers)
{
    const AttentionRows rows(config, rotary, first);
    const std::size_t groups = config.keyValueHeads;
    const std::size_t blocks = (queries.rows + queriesPerCall - 1) / queriesPerCall;
    parallelFor(blocks * groups, threads, [&](std::size_t task, std::size_t worker) {
        const std::size_t begin = task / groups * queriesPerCall;
        const QueryBlock block{
            .group = task % groups, .begin = begin, .rows = std::min(queriesPerCall, queries.rows - begin)};
        attendBlock(device, rows, block, queries, first, cache, config.headWidth, mixed, workers[worker]);
    });
}

} // namespace rankwright
