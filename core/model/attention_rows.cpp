#include "core/model/attention_rows.h"

#include "core/compute/elementwise.h"
#include "core/compute/elementwise_gradients.h"

#include <algorithm>
#include <cmath>

namespace rankwright {

AttentionRows::AttentionRows(const ModelConfig& config, const RotaryTable& rotary, std::size_t first)
    : m_rotary(rotary)
    , m_first(first)
    , m_width(config.headWidth)
    , m_sharing(config.heads / config.keyValueHeads)
    , m_rotates(config.positions == PositionKind::Rotary)
    , m_window(config.slidingWindow.value_or(config.contextLength))
    , m_scale(1.0F / std::sqrt(static_cast<float>(config.headWidth)))
{}

void AttentionRows::gather(const QueryBlock& block, ConstMatrixView<float> heads, MatrixView<float> target) const
{
    for (std::size_t head = 0; head < m_sharing; ++head) {
        const std::size_t column = (block.group * m_sharing + head) * m_width;
        for (std::size_t i = 0; i < block.rows; ++i)
            std::copy_n(heads.row(block.begin + i) + column, m_width, target.row(head * block.rows + i));
    }
}

void AttentionRows::scatter(const QueryBlock& block, ConstMatrixView<float> rows, MatrixView<float> heads) const
{
    for (std::size_t head = 0; head < m_sharing; ++head) {
        const std::size_t column = (block.group * m_sharing + head) * m_width;
        for (std::size_t i = 0; i < block.rows; ++i)
            std::copy_n(rows.row(head * block.rows + i), m_width, heads.row(block.begin + i) + column);
    }
}

template <typename Rotation>
void AttentionRows::forPositions(const QueryBlock& block, MatrixView<float> rows, const Rotation& rotation) const
{
    if (!m_rotates)
        return;
    for (std::size_t row = 0; row < rows.rows; ++row) {
        const std::size_t position = m_first + block.begin + row % block.rows;
        rotation(rows.rowSpan(row), m_rotary.cosines.view().rowSpan(position), m_rotary.sines.view().rowSpan(position));
    }
}

void AttentionRows::rotate(const QueryBlock& block, MatrixView<float> rows) const
{
    forPositions(block, rows, rotateHalves);
}

void AttentionRows::rotateBack(const QueryBlock& block, MatrixView<float> rows) const
{
    forPositions(block, rows, rotateHalvesBack);
}

void AttentionRows::normalise(const QueryBlock& block, MatrixView<float> scores) const
{
    for (std::size_t row = 0; row < scores.rows; ++row) {
        const std::size_t end = m_first + block.begin + row % block.rows + 1;
        const std::size_t begin = end > m_window ? end - m_window : 0;
        const std::span<float> values = scores.rowSpan(row);
        std::ranges::fill(values.first(begin), 0.0F);
        softmax(values.subspan(begin, end - begin), m_scale);
        std::ranges::fill(values.subspan(end), 0.0F);
    }
}

} // namespace rankwright
