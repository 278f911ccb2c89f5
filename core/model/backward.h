#pragma once

#include "core/model/forward.h"

#include <functional>
#include <memory>

namespace rankwright {

/// Called with the input X (T x n) of a linear and the gradient dY (T x m) of the loss with respect to its output.
using GradientObserver = std::function<void(Role role, ConstMatrixView<float> X, ConstMatrixView<float> dY)>;

/// Reusable buffers of backwardBlock(); one per thread.
class BackwardScratch
{
public:
    BackwardScratch();
    ~BackwardScratch();
    BackwardScratch(BackwardScratch&&) noexcept;
    BackwardScratch& operator=(BackwardScratch&&) noexcept;

    struct Buffers;
    Buffers& buffers() { return *m_buffers; }

private:
    std::unique_ptr<Buffers> m_buffers;
};

/// Float32 elements that backwardBlock() holds for every row, beside scores.
std::size_t backwardFloatsPerRow(const ModelConfig& config);
/// The same of scores, for a window of `length` rows.
std::size_t backwardScoreFloats(const ModelConfig& config, std::size_t length);

/// gradient (T x hiddenSize), of the loss with respect to the output of a block, <- with respect to its input `input`
/// (T x hiddenSize). Activations are computed again from the input. Linears are observed in the order of the backward
/// pass. One window, one thread; BLAS calls are expected to use one thread.
void backwardBlock(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                   const RotaryTable& rotary, ConstMatrixView<float> input, MatrixView<float> gradient,
                   BackwardScratch& scratch, const GradientObserver& observer = {});

/// Fills `gradient`, of the loss with respect to a block's output, from that output (both T x hiddenSize).
using OutputGradient = std::function<void(ConstMatrixView<float> output, MatrixView<float> gradient)>;

/// The same for a loss of the block's own output: `differentiate` is called between the two passes.
void backwardBlock(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                   const RotaryTable& rotary, ConstMatrixView<float> input, MatrixView<float> gradient,
                   BackwardScratch& scratch, const GradientObserver& observer, const OutputGradient& differentiate);

/// Gradients of causal attention, see attend(): dQueries (T x heads headWidth, before they are rotated), dKeys and
/// dValues (T x keyValueHeads headWidth, keys before they are rotated) from dMixed (T x heads headWidth); all from
/// position 0. Keys are rotated already, queries are not.
void attendBackward(const Device& device, const ModelConfig& config, const RotaryTable& rotary,
                    ConstMatrixView<float> queries, ConstMatrixView<float> keys, ConstMatrixView<float> values,
                    ConstMatrixView<float> dMixed, MatrixView<float> dQueries, MatrixView<float> dKeys,
                    MatrixView<float> dValues, BackwardScratch& scratch);

} // namespace rankwright
