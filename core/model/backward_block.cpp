#include "core/compute/elementwise_gradients.h"
#include "core/model/backward_buffers.h"
#include "core/model/normalise.h"

#include <algorithm>

namespace rankwright {

BackwardScratch::BackwardScratch()
    : m_buffers(std::make_unique<Buffers>())
{}

BackwardScratch::~BackwardScratch() = default;
BackwardScratch::BackwardScratch(BackwardScratch&&) noexcept = default;
BackwardScratch& BackwardScratch::operator=(BackwardScratch&&) noexcept = default;

std::size_t backwardScoreFloats(const ModelConfig& config, std::size_t length)
{
    constexpr std::size_t copies = 4; // two are held here, the rest is for the forward pass beside
    return config.heads / config.keyValueHeads * queriesPerCall * length * copies;
}

std::size_t backwardFloatsPerRow(const ModelConfig& config)
{
    const std::size_t queries = config.heads * config.headWidth;
    const std::size_t keys = config.keyValueHeads * config.headWidth;
    // The trace, the gradients, and the buffers of the forward pass.
    return (4 + 2) * config.hiddenSize + 4 * queries + 4 * keys + 5 * config.intermediateSize + floatsPerRow(config) +
           2 * keys;
}

namespace {

class BlockGradient
{
public:
    BlockGradient(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                  const RotaryTable& rotary, BackwardScratch& scratch, const GradientObserver& observer)
        : m_device(device)
        , m_config(config)
        , m_weights(weights)
        , m_rotary(rotary)
        , m_scratch(scratch)
        , m_buffers(scratch.buffers())
        , m_trace(m_buffers.trace)
        , m_observer(observer)
    {}

    void run(ConstMatrixView<float> input, MatrixView<float> gradient, const OutputGradient& differentiate)
    {
        const MatrixView<float> hidden = m_buffers.hidden.view(input.rows, input.columns);
        for (std::size_t row = 0; row < input.rows; ++row)
            std::copy_n(input.row(row), input.columns, hidden.row(row));
        forwardBlock(m_device, m_config, m_weights, m_rotary, hidden, m_buffers.forward, {.trace = &m_trace});
        if (differentiate)
            differentiate(hidden, gradient);
        mlp(gradient);
        attention(input, gradient);
    }

private:
    void mlp(MatrixView<float> gradient)
    {
        const std::size_t rows = gradient.rows;
        const MatrixView<float> dInner = m_buffers.dInner.view(rows, m_config.intermediateSize);
        pullBack(Role::Down, m_trace.inner.view(), gradient, dInner, false);
        const MatrixView<float> dNormed = m_buffers.dNormed.view(rows, m_config.hiddenSize);
        if (m_config.gatedMlp) {
            const MatrixView<float> dGate = m_buffers.dGate.view(rows, m_config.intermediateSize);
            for (std::size_t row = 0; row < rows; ++row)
                siluTimesGradient(m_trace.gate.view().rowSpan(row), m_trace.up.view().rowSpan(row), dInner.rowSpan(row),
                                  dGate.rowSpan(row), dInner.rowSpan(row));
            pullBack(Role::Gate, m_trace.mlpInput.view(), dGate, dNormed, false);
        } else {
            for (std::size_t row = 0; row < rows; ++row)
                activationGradient(m_trace.up.view().rowSpan(row), dInner.rowSpan(row));
        }
        pullBack(Role::Up, m_trace.mlpInput.view(), dInner, dNormed, m_config.gatedMlp);
        addNormGradient(m_trace.middle.view(), m_weights.mlpNorm, dNormed, gradient);
    }

    void attention(ConstMatrixView<float> input, MatrixView<float> gradient)
    {
        const std::size_t rows = gradient.rows;
        const std::size_t queryWidth = m_config.heads * m_config.headWidth;
        const std::size_t keyWidth = m_config.keyValueHeads * m_config.headWidth;
        const MatrixView<float> dMixed = m_buffers.dMixed.view(rows, queryWidth);
        pullBack(Role::O, m_trace.mixed.view(), gradient, dMixed, false);
        MatrixView<float> dQueries = m_buffers.dQueries.view(rows, queryWidth);
        MatrixView<float> dKeys = m_buffers.dKeys.view(rows, keyWidth);
        const MatrixView<float> dValues = m_buffers.dValues.view(rows, keyWidth);
        attendBackward(m_device, m_config, m_rotary, m_trace.queries.view(), m_trace.keys.view(), m_trace.values.view(),
                       dMixed, dQueries, dKeys, dValues, m_scratch);
        const MatrixView<float> dNormed = m_buffers.dNormed.view(rows, m_config.hiddenSize);
        const ConstMatrixView<float> X = m_trace.attentionInput.view();
        throughHeadNorm(m_trace.plainQueries, m_weights.queryNorm, dQueries);
        pullBack(Role::Q, X, dQueries, dNormed, false);
        throughHeadNorm(m_trace.plainKeys, m_weights.keyNorm, dKeys);
        pullBack(Role::K, X, dKeys, dNormed, true);
        pullBack(Role::V, X, dValues, dNormed, true);
        addNormGradient(input, m_weights.attentionNorm, dNormed, gradient);
    }

    /// dX = dY W, or dX += dY W.
    void pullBack(Role role, ConstMatrixView<float> X, ConstMatrixView<float> dY, MatrixView<float> dX, bool add)
    {
        if (m_observer)
            m_observer(role, X, dY);
        applyLinearTransposed(m_device, m_weights.linear(role), dY, dX, add, m_buffers.linear);
    }

    void activationGradient(std::span<const float> x, std::span<float> d) const
    {
        switch (m_config.activation) {
        case Activation::Silu:
            siluGradient(x, d);
            break;
        case Activation::Relu:
            reluGradient(x, d);
            break;
        case Activation::GeluTanh:
            geluTanhGradient(x, d);
            break;
        }
    }

    void addNormGradient(ConstMatrixView<float> x, const NormWeights& weights, ConstMatrixView<float> dNormed,
                         MatrixView<float> gradient) const
    {
        for (std::size_t row = 0; row < x.rows; ++row)
            rankwright::addNormGradient(m_config, weights, x.rowSpan(row), dNormed.rowSpan(row), gradient.rowSpan(row));
    }

    /// d of the normed heads <- d of the plain ones; nothing where the model has no such norm.
    void throughHeadNorm(const Matrix<float>& plain, std::span<const float> weight, MatrixView<float> d)
    {
        if (weight.empty())
            return;
        const MatrixView<float> heads = m_buffers.dHeads.view(1, weight.size());
        for (std::size_t row = 0; row < d.rows; ++row)
            for (std::size_t column = 0; column < d.columns; column += weight.size()) {
                const std::span<float> head = d.rowSpan(row).subspan(column, weight.size());
                std::ranges::fill(heads.rowSpan(0), 0.0F);
                addRmsNormGradient(plain.view().rowSpan(row).subspan(column, weight.size()), weight,
                                   m_config.normEpsilon, head, heads.rowSpan(0));
                std::ranges::copy(heads.rowSpan(0), head.begin());
            }
    }

    const Device& m_device;
    const ModelConfig& m_config;
    const BlockWeights& m_weights;
    const RotaryTable& m_rotary;
    BackwardScratch& m_scratch;
    BackwardScratch::Buffers& m_buffers;
    BlockTrace& m_trace;
    const GradientObserver& m_observer;
};

} // namespace

void backwardBlock(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                   const RotaryTable& rotary, ConstMatrixView<float> input, MatrixView<float> gradient,
                   BackwardScratch& scratch, const GradientObserver& observer)
{
    backwardBlock(device, config, weights, rotary, input, gradient, scratch, observer, {});
}

void backwardBlock(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                   const RotaryTable& rotary, ConstMatrixView<float> input, MatrixView<float> gradient,
                   BackwardScratch& scratch, const GradientObserver& observer, const OutputGradient& differentiate)
{
    BlockGradient(device, config, weights, rotary, scratch, observer).run(input, gradient, differentiate);
}

} // namespace rankwright
