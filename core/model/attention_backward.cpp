#include "core/compute/elementwise_gradients.h"
#include "core/model/attention_rows.h"
#include "core/model/backward_buffers.h"

#include <algorithm>

namespace rankwright {

void attendBackward(const Device& device, const ModelConfig& config, const RotaryTable& rotary,
                    ConstMatrixView<float> queries, ConstMatrixView<float> keys, ConstMatrixView<float> values,
                    ConstMatrixView<float> dMixed, MatrixView<float> dQueries, MatrixView<float> dKeys,
                    MatrixView<float> dValues, BackwardScratch& scratch)
{
    BackwardScratch::Buffers& buffers = scratch.buffers();
    const AttentionRows rows(config, rotary, 0);
    const std::size_t width = config.headWidth;
    for (std::size_t row = 0; row < dKeys.rows; ++row) {
        std::ranges::fill(dKeys.rowSpan(row), 0.0F);
        std::ranges::fill(dValues.rowSpan(row), 0.0F);
    }
    for (std::size_t group = 0; group < config.keyValueHeads; ++group) {
        const ConstMatrixView<float> K = keys.columnRange(group * width, width);
        const ConstMatrixView<float> V = values.columnRange(group * width, width);
        for (std::size_t begin = 0; begin < queries.rows; begin += queriesPerCall) {
            const QueryBlock block{
                .group = group, .begin = begin, .rows = std::min(queriesPerCall, queries.rows - begin)};
            const std::size_t seen = begin + block.rows;
            const std::size_t stacked = rows.sharing() * block.rows;
            const MatrixView<float> rotated = buffers.rotated.view(stacked, width);
            rows.gather(block, queries, rotated);
            rows.rotate(block, rotated);
            const MatrixView<float> scores = buffers.scores.view(stacked, seen);
            device.gemm(Transpose::No, Transpose::Yes, 1.0F, rotated, K.rowRange(0, seen), 0.0F, scores);
            rows.normalise(block, scores);

            const MatrixView<float> outgoing = buffers.outgoing.view(stacked, width);
            rows.gather(block, dMixed, outgoing);
            device.gemm(Transpose::Yes, Transpose::No, 1.0F, scores, outgoing, 1.0F,
                        dValues.columnRange(group * width, width).rowRange(0, seen));
            const MatrixView<float> dScores = buffers.dScores.view(stacked, seen);
            device.gemm(Transpose::No, Transpose::Yes, 1.0F, outgoing, V.rowRange(0, seen), 0.0F, dScores);
            for (std::size_t row = 0; row < stacked; ++row)
                softmaxGradient(scores.rowSpan(row), rows.scale(), dScores.rowSpan(row));
            device.gemm(Transpose::Yes, Transpose::No, 1.0F, dScores, rotated, 1.0F,
                        dKeys.columnRange(group * width, width).rowRange(0, seen));
            device.gemm(Transpose::No, Transpose::No, 1.0F, dScores, K.rowRange(0, seen), 0.0F, outgoing);
            rows.rotateBack(block, outgoing);
            rows.scatter(block, outgoing, dQueries);
        }
    }
    if (config.positions != PositionKind::Rotary)
        return;
    for (std::size_t row = 0; row < dKeys.rows; ++row)
        for (std::size_t group = 0; group < config.keyValueHeads; ++group)
            rotateHalvesBack(dKeys.rowSpan(row).subspan(group * width, width), rotary.cosines.view().rowSpan(row),
                             rotary.sines.view().rowSpan(row));
}

} // namespace rankwright
