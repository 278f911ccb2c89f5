#include "core/model/attention.h"

#include "core/base/parallel.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cmath>

namespace rankwright {

namespace {

/// Queries [begin, begin + rows) of the heads that share key/value head `group`.
struct QueryBlock
{
    std::size_t group = 0;
    std::size_t begin = 0;
    std::size_t rows = 0;
};

class Attention
{
public:
    Attention(const Device& device, const ModelConfig& config, const RotaryTable& rotary,
              ConstMatrixView<float> queries, std::size_t first, const KeyValueCache& cache, MatrixView<float> mixed)
        : m_device(device)
        , m_rotary(rotary)
        , m_queries(queries)
        , m_first(first)
        , m_cache(cache)
        , m_mixed(mixed)
        , m_width(config.headWidth)
        , m_sharing(config.heads / config.keyValueHeads)
        , m_rotates(config.positions == PositionKind::Rotary)
        , m_window(config.slidingWindow.value_or(config.contextLength))
    {}

    void run(const QueryBlock& block, ForwardScratch::Buffers::Worker& worker) const
    {
        const std::size_t keys = m_first + block.begin + block.rows;
        const MatrixView<float> rotated = worker.queries.view(m_sharing * block.rows, m_width);
        gather(block, rotated);
        const ConstMatrixView<float> K =
            m_cache.keys.view().rowRange(0, keys).columnRange(block.group * m_width, m_width);
        const ConstMatrixView<float> V =
            m_cache.values.view().rowRange(0, keys).columnRange(block.group * m_width, m_width);
        const MatrixView<float> scores = worker.scores.view(m_sharing * block.rows, keys);
        m_device.gemm(Transpose::No, Transpose::Yes, 1.0F, rotated, K, 0.0F, scores);
        normalise(block, scores);
        m_device.gemm(Transpose::No, Transpose::No, 1.0F, scores, V, 0.0F, rotated);
        scatter(block, rotated);
    }

private:
    void gather(const QueryBlock& block, MatrixView<float> rotated) const
    {
        for (std::size_t head = 0; head < m_sharing; ++head) {
            const std::size_t column = (block.group * m_sharing + head) * m_width;
            for (std::size_t i = 0; i < block.rows; ++i) {
                const std::span<float> target = rotated.rowSpan(head * block.rows + i);
                std::copy_n(m_queries.row(block.begin + i) + column, m_width, target.data());
                if (!m_rotates)
                    continue;
                const std::size_t position = m_first + block.begin + i;
                rotateHalves(target, m_rotary.cosines.view().rowSpan(position),
                             m_rotary.sines.view().rowSpan(position));
            }
        }
    }

    /// Softmax over the keys a query may see; the others get weight 0.
    void normalise(const QueryBlock& block, MatrixView<float> scores) const
    {
        const float scale = 1.0F / std::sqrt(static_cast<float>(m_width));
        for (std::size_t row = 0; row < scores.rows; ++row) {
            const std::size_t end = m_first + block.begin + row % block.rows + 1;
            const std::size_t begin = end > m_window ? end - m_window : 0;
            const std::span<float> values = scores.rowSpan(row);
            std::ranges::fill(values.first(begin), 0.0F);
            softmax(values.subspan(begin, end - begin), scale);
            std::ranges::fill(values.subspan(end), 0.0F);
        }
    }

    void scatter(const QueryBlock& block, ConstMatrixView<float> values) const
    {
        for (std::size_t head = 0; head < m_sharing; ++head) {
            const std::size_t column = (block.group * m_sharing + head) * m_width;
            for (std::size_t i = 0; i < block.rows; ++i)
                std::copy_n(values.row(head * block.rows + i), m_width, m_mixed.row(block.begin + i) + column);
        }
    }

    const Device& m_device;
    const RotaryTable& m_rotary;
    ConstMatrixView<float> m_queries;
    std::size_t m_first;
    const KeyValueCache& m_cache;
    MatrixView<float> m_mixed;
    std::size_t m_width;
    std::size_t m_sharing;
    bool m_rotates;
    std::size_t m_window;
};

} // namespace

void attend(const Device& device, const ModelConfig& config, const RotaryTable& rotary, ConstMatrixView<float> queries,
            std::size_t first, const KeyValueCache& cache, MatrixView<float> mixed, std::size_t threads,
            std::span<ForwardScratch::Buffers::Worker> workers)
{
    const Attention attention(device, config, rotary, queries, first, cache, mixed);
    const std::size_t groups = config.keyValueHeads;
    const std::size_t blocks = (queries.rows + queriesPerCall - 1) / queriesPerCall;
    parallelFor(blocks * groups, threads, [&](std::size_t task, std::size_t worker) {
        const std::size_t begin = task / groups * queriesPerCall;
        attention.run({.group = task % groups, .begin = begin, .rows = std::min(queriesPerCall, queries.rows - begin)},
                      workers[worker]);
    });
}

} // namespace rankwright
