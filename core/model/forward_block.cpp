#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/elementwise.h"
#include "core/model/attention.h"
#include "core/model/forward_buffers.h"
#include "core/model/normalise.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

ForwardScratch::ForwardScratch(std::size_t threads)
    : m_threads(std::max<std::size_t>(1, threads))
    , m_buffers(std::make_unique<Buffers>())
{
    m_buffers->workers.resize(m_threads);
}

ForwardScratch::~ForwardScratch() = default;
ForwardScratch::ForwardScratch(ForwardScratch&&) noexcept = default;
ForwardScratch& ForwardScratch::operator=(ForwardScratch&&) noexcept = default;

namespace {

/// One pass of some rows through a block. Rows go in spans, so that the buffers stay small: a query only needs keys of
/// its own and earlier rows.
class BlockPass
{
public:
    BlockPass(const Device& device, const ModelConfig& config, const BlockWeights& weights, const RotaryTable& rotary,
              ForwardScratch& scratch, const BlockOptions& options, KeyValueCache& cache)
        : m_device(device)
        , m_config(config)
        , m_weights(weights)
        , m_rotary(rotary)
        , m_buffers(scratch.buffers())
        , m_threads(scratch.threads())
        , m_options(options)
        , m_cache(cache)
    {}

    /// False if the pass ends at options.stopAt.
    bool run(MatrixView<float> hidden) { return attention(hidden) && mlp(hidden); }

private:
    bool attention(MatrixView<float> hidden)
    {
        const std::size_t rows = hidden.rows;
        const MatrixView<float> normed = m_buffers.normed.view(rows, m_config.hiddenSize);
        normaliseRows(hidden, m_weights.attentionNorm, normed);
        if (!observe(TapSite::AttentionInput, normed))
            return false;
        const MatrixView<float> queries = m_buffers.queries.view(rows, m_config.heads * m_config.headWidth);
        const std::size_t first = m_cache.length;
        const MatrixView<float> keys = m_cache.keys.view().rowRange(first, rows);
        apply(std::array{Role::Q, Role::K, Role::V}, normed,
              std::array{queries, keys, m_cache.values.view().rowRange(first, rows)});
        if (m_config.queryKeyNorm) {
            keep(&BlockTrace::plainQueries, queries);
            keep(&BlockTrace::plainKeys, keys);
        }
        normaliseHeads(queries, m_weights.queryNorm);
        normaliseHeads(keys, m_weights.keyNorm);
        rotateKeys(keys, first);
        keep(&BlockTrace::attentionInput, normed);
        keep(&BlockTrace::queries, queries);
        keep(&BlockTrace::keys, keys);
        keep(&BlockTrace::values, m_cache.values.view().rowRange(first, rows));
        m_cache.length += rows;
        const MatrixView<float> mixed = m_buffers.mixed.view(rows, queries.columns);
        attend(m_device, m_config, m_rotary, queries, first, m_cache, mixed, m_threads, m_buffers.workers);
        keep(&BlockTrace::mixed, mixed);
        if (!observe(TapSite::OutputInput, mixed))
            return false;
        addOutput(Role::O, mixed, hidden);
        keep(&BlockTrace::middle, hidden);
        return true;
    }

    bool mlp(MatrixView<float> hidden)
    {
        const std::size_t rows = hidden.rows;
        const MatrixView<float> normed = m_buffers.normed.view(rows, m_config.hiddenSize);
        normaliseRows(hidden, m_weights.mlpNorm, normed);
        if (!observe(TapSite::MlpInput, normed))
            return false;
        keep(&BlockTrace::mlpInput, normed);
        const MatrixView<float> inner = m_config.gatedMlp ? gated(normed) : plain(normed);
        keep(&BlockTrace::inner, inner);
        if (!observe(TapSite::DownInput, inner))
            return false;
        addOutput(Role::Down, inner, hidden);
        return true;
    }

    /// silu(gate) * up.
    MatrixView<float> gated(ConstMatrixView<float> normed)
    {
        const MatrixView<float> gate = m_buffers.gate.view(normed.rows, m_config.intermediateSize);
        const MatrixView<float> up = m_buffers.up.view(normed.rows, m_config.intermediateSize);
        apply(std::array{Role::Gate, Role::Up}, normed, std::array{gate, up});
        keep(&BlockTrace::gate, gate);
        keep(&BlockTrace::up, up);
        forRows(normed.rows, [&](std::size_t first, std::size_t count, std::size_t) {
            siluTimes({gate.row(first), count * gate.columns}, {up.row(first), count * up.columns});
        });
        return gate;
    }

    /// activation(up).
    MatrixView<float> plain(ConstMatrixView<float> normed)
    {
        const MatrixView<float> up = m_buffers.up.view(normed.rows, m_config.intermediateSize);
        apply(std::array{Role::Up}, normed, std::array{up});
        keep(&BlockTrace::up, up);
        forRows(normed.rows, [&](std::size_t first, std::size_t count, std::size_t) {
            activate({up.row(first), count * up.columns});
        });
        return up;
    }

    void activate(std::span<float> values) const
    {
        switch (m_config.activation) {
        case Activation::Silu:
            silu(values);
            break;
        case Activation::Relu:
            relu(values);
            break;
        case Activation::GeluTanh:
            geluTanh(values);
            break;
        }
    }

    /// `part(first, count, worker)` for consecutive ranges of rows.
    template <typename Part>
    void forRows(std::size_t rows, const Part& part)
    {
        parallelFor((rows + rowsPerCall - 1) / rowsPerCall, m_threads, [&](std::size_t index, std::size_t worker) {
            const std::size_t first = index * rowsPerCall;
            part(first, std::min(rowsPerCall, rows - first), worker);
        });
    }

    /// Linears that read the same input.
    template <std::size_t Count>
    void apply(const std::array<Role, Count>& roles, ConstMatrixView<float> X,
               const std::array<MatrixView<float>, Count>& outputs)
    {
        std::array<const LinearWeights*, Count> linears{};
        std::ranges::transform(roles, linears.begin(), [&](Role role) { return &m_weights.linear(role); });
        forRows(X.rows, [&](std::size_t first, std::size_t count, std::size_t worker) {
            std::array<MatrixView<float>, Count> parts{};
            std::ranges::transform(outputs, parts.begin(),
                                   [&](MatrixView<float> Y) { return Y.rowRange(first, count); });
            applyLinears(m_device, linears, X.rowRange(first, count), parts, m_buffers.workers[worker].linear);
        });
    }

    void addOutput(Role role, ConstMatrixView<float> X, MatrixView<float> hidden)
    {
        const MatrixView<float> delta = m_buffers.delta.view(hidden.rows, hidden.columns);
        apply(std::array{role}, X, std::array{delta});
        for (std::size_t row = 0; row < hidden.rows; ++row)
            addTo(delta.rowSpan(row), hidden.rowSpan(row));
    }

    void normaliseRows(ConstMatrixView<float> hidden, const NormWeights& weights, MatrixView<float> normed) const
    {
        for (std::size_t row = 0; row < hidden.rows; ++row)
            normalise(m_config, weights, hidden.rowSpan(row), normed.rowSpan(row));
    }

    /// Every head of every row by itself; nothing where there are no weights.
    void normaliseHeads(MatrixView<float> states, std::span<const float> weight) const
    {
        if (weight.empty())
            return;
        for (std::size_t row = 0; row < states.rows; ++row)
            for (std::size_t column = 0; column < states.columns; column += weight.size()) {
                const std::span<float> head = states.rowSpan(row).subspan(column, weight.size());
                rmsNorm(head, weight, m_config.normEpsilon, head);
            }
    }

    void rotateKeys(MatrixView<float> keys, std::size_t first)
    {
        if (m_config.positions != PositionKind::Rotary)
            return;
        for (std::size_t row = 0; row < keys.rows; ++row) {
            const std::span<const float> cosines = m_rotary.cosines.view().rowSpan(first + row);
            const std::span<const float> sines = m_rotary.sines.view().rowSpan(first + row);
            for (std::size_t head = 0; head < m_config.keyValueHeads; ++head)
                rotateHalves(keys.rowSpan(row).subspan(head * m_config.headWidth, m_config.headWidth), cosines, sines);
        }
    }

    void keep(Matrix<float> BlockTrace::*part, ConstMatrixView<float> rows) const
    {
        if (m_options.trace == nullptr)
            return;
        Matrix<float>& kept = m_options.trace->*part;
        kept.reshape(rows.rows, rows.columns);
        for (std::size_t row = 0; row < rows.rows; ++row)
            std::copy_n(rows.row(row), rows.columns, kept.row(row));
    }

    bool observe(TapSite site, ConstMatrixView<float> X)
    {
        if (m_options.observer)
            m_options.observer(site, X);
        return m_options.stopAt != site;
    }

    const Device& m_device;
    const ModelConfig& m_config;
    const BlockWeights& m_weights;
    const RotaryTable& m_rotary;
    ForwardScratch::Buffers& m_buffers;
    std::size_t m_threads;
    const BlockOptions& m_options;
    KeyValueCache& m_cache;
};

void reserve(KeyValueCache& cache, std::size_t rows, std::size_t columns)
{
    if (cache.keys.rows() < rows || cache.keys.columns() != columns) {
        cache.keys = Matrix<float>(rows, columns);
        cache.values = Matrix<float>(rows, columns);
    }
    cache.length = 0;
}

} // namespace

void forwardBlock(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                  const RotaryTable& rotary, MatrixView<float> hidden, ForwardScratch& scratch,
                  const BlockOptions& options)
{
    KeyValueCache& cache = options.cache ? *options.cache : scratch.buffers().cache;
    if (!options.cache)
        reserve(cache, hidden.rows, config.keyValueHeads * config.headWidth);
    const std::size_t end = cache.length + hidden.rows;
    if (end > cache.keys.rows() || end > rotary.cosines.rows())
        throw Error(ErrorKind::Internal,
                    fmt::format("position {} lies behind the cache of {} and the rotary table of {}", end,
                                cache.keys.rows(), rotary.cosines.rows()));
    BlockPass pass(device, config, weights, rotary, scratch, options, cache);
    // An observer and a trace are promised all rows of a window at once.
    const bool whole = options.observer || options.stopAt || options.trace != nullptr;
    const std::size_t span = whole ? hidden.rows : std::min(hidden.rows, rowsPerCall * scratch.threads());
    for (std::size_t first = 0; first < hidden.rows; first += span) {
        if (!pass.run(hidden.rowRange(first, std::min(span, hidden.rows - first))))
            return;
    }
}

} // namespace rankwright
