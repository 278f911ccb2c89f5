#pragma once

#include "core/model/forward.h"

namespace rankwright {

/// Queries [begin, begin + rows) of the heads that share key/value head `group`.
struct QueryBlock
{
    std::size_t group = 0;
    std::size_t begin = 0;
    std::size_t rows = 0;
};

/// The rows of a query block as one matrix, head after head: what forward and backward pass of attention share.
class AttentionRows
{
public:
    /// `first` is the position of the first query.
    AttentionRows(const ModelConfig& config, const RotaryTable& rotary, std::size_t first);

    /// Query heads of a group.
    std::size_t sharing() const { return m_sharing; }
    /// 1 / sqrt(headWidth), on scores before softmax.
    float scale() const { return m_scale; }
    /// target (sharing rows x headWidth) from `heads` (T x heads headWidth).
    void gather(const QueryBlock& block, ConstMatrixView<float> heads, MatrixView<float> target) const;
    /// The inverse of gather().
    void scatter(const QueryBlock& block, ConstMatrixView<float> rows, MatrixView<float> heads) const;
    /// Rotates gathered rows to their positions; nothing where positions are not rotary.
    void rotate(const QueryBlock& block, MatrixView<float> rows) const;
    /// The inverse of rotate().
    void rotateBack(const QueryBlock& block, MatrixView<float> rows) const;
    /// Softmax over the keys that a query may see; the others get weight 0.
    void normalise(const QueryBlock& block, MatrixView<float> scores) const;

private:
    template <typename Rotation>
    void forPositions(const QueryBlock& block, MatrixView<float> rows, const Rotation& rotation) const;

    const RotaryTable& m_rotary;
    std::size_t m_first;
    std::size_t m_width;
    std::size_t m_sharing;
    bool m_rotates;
    std::size_t m_window;
    float m_scale;
};

} // namespace rankwright
