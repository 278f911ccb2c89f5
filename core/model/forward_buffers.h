#pragma once

#include "core/model/forward.h"

#include <vector>

namespace rankwright {

/// Rows of X in one call of a linear. A fixed number, so that the same BLAS calls are made with any number of threads.
inline constexpr std::size_t rowsPerCall = 512;
/// Query rows of one head that meet their keys at once.
inline constexpr std::size_t queriesPerCall = 128;
/// Vocabulary entries of one call of the head.
inline constexpr std::size_t logitColumns = 8192;

/// Storage that only grows; content is unspecified.
class GrowingMatrix
{
public:
    MatrixView<float> view(std::size_t rows, std::size_t columns)
    {
        if (m_storage.size() < rows * columns)
            m_storage.reshape(rows, columns);
        return {m_storage.data(), rows, columns, columns};
    }

private:
    Matrix<float> m_storage;
};

struct ForwardScratch::Buffers
{
    /// Of one thread inside a window.
    struct Worker
    {
        LinearScratch linear;
        GrowingMatrix queries;
        GrowingMatrix scores;
        GrowingMatrix mixed;
        GrowingMatrix head;
    };

    GrowingMatrix normed;
    GrowingMatrix queries;
    GrowingMatrix mixed;
    GrowingMatrix delta;
    GrowingMatrix gate;
    GrowingMatrix up;
    GrowingMatrix logits;
    KeyValueCache cache;
    std::vector<Worker> workers;
};

} // namespace rankwright
