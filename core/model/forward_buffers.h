#pragma once

#include "core/model/forward.h"

#include <algorithm>
#include <vector>

namespace rankwright {

/// Rows of X in one call of a linear. A fixed number, so that the same BLAS calls are made with any number of threads.
inline constexpr std::size_t rowsPerCall = 512;
/// Query rows of one head that meet their keys at once.
inline constexpr std::size_t queriesPerCall = 128;
/// Vocabulary entries of one call of the head.
inline constexpr std::size_t logitColumns = 8192;

/// Elements that the buffers of a block hold for every row of a call, beside keys, values and scores.
inline std::size_t floatsPerRow(const ModelConfig& config)
{
    return 2 * config.hiddenSize + 2 * config.heads * config.headWidth +
           (config.gatedMlp ? 2 : 1) * config.intermediateSize;
}

/// Bytes of the whole head in float32.
inline std::size_t headBytes(const ModelConfig& config)
{
    return config.vocabularySize * config.hiddenSize * sizeof(float);
}

/// Whether Head holds the whole head under a limit in bytes; else every thread reads it part by part.
inline bool holdsHead(const ModelConfig& config, std::size_t memoryLimit)
{
    return headBytes(config) <= memoryLimit / 3;
}

/// Bytes of the part of the head that a thread reads at once.
inline std::size_t headPartBytes(const ModelConfig& config)
{
    return std::min(logitColumns, config.vocabularySize) * config.hiddenSize * sizeof(float);
}

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
