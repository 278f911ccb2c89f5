#pragma once

#include "core/tensor/matrix.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rankwright {

/// A sparse matrix by rows: row i has the entries [rowStart[i], rowStart[i + 1]), their columns ascending. A kept entry
/// may be zero.
template <typename T>
struct SparseMatrix
{
    std::size_t columns = 0;
    std::vector<std::size_t> rowStart; ///< one more than rows; empty for no matrix at all
    std::vector<std::uint32_t> column; ///< by entry
    std::vector<T> values;             ///< by entry

    std::size_t rows() const { return rowStart.empty() ? 0 : rowStart.size() - 1; }
    std::size_t entries() const { return values.size(); }
    bool empty() const { return values.empty(); }
    /// Positions of the first entry of a row and of that after its last.
    std::size_t begin(std::size_t row) const { return rowStart[row]; }
    std::size_t end(std::size_t row) const { return rowStart[row + 1]; }

    /// Rows [first, first + count).
    SparseMatrix rowRange(std::size_t first, std::size_t count) const
    {
        SparseMatrix part;
        if (rowStart.empty())
            return part;
        part.columns = columns;
        const std::size_t from = rowStart[first];
        const std::size_t to = rowStart[first + count];
        part.rowStart.reserve(count + 1);
        for (std::size_t i = first; i <= first + count; ++i)
            part.rowStart.push_back(rowStart[i] - from);
        part.column.assign(column.data() + from, column.data() + to);
        part.values.assign(values.data() + from, values.data() + to);
        return part;
    }

    bool operator==(const SparseMatrix&) const = default;
};

/// D += factor S.
template <typename T, typename U>
void addSparse(const SparseMatrix<T>& S, U factor, MatrixView<U> D)
{
    for (std::size_t i = 0; i < S.rows(); ++i)
        for (std::size_t e = S.begin(i); e < S.end(i); ++e)
            D(i, S.column[e]) += factor * static_cast<U>(S.values[e]);
}

} // namespace rankwright
