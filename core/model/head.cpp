#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/elementwise.h"
#include "core/model/forward_buffers.h"
#include "core/model/normalise.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

Head::Head(const Model& model, const Device& device, std::size_t memoryLimit)
    : m_device(device)
    , m_model(model)
    , m_norm(model.finalNorm())
{
    const ModelConfig& config = model.config();
    if (memoryLimit != 0 && !holdsHead(config, memoryLimit))
        return;
    m_weights.reshape(config.vocabularySize, config.hiddenSize);
    model.readRows(RowTable::Head, 0, config.vocabularySize, m_weights.view());
}

void Head::forParts(ForwardScratch& scratch, std::size_t threads,
                    const std::function<void(std::size_t, ConstMatrixView<float>)>& visit) const
{
    const ModelConfig& config = m_model.config();
    const std::size_t vocabulary = config.vocabularySize;
    // Parts of the vocabulary are the same with any number of threads, and so are the sums.
    parallelFor((vocabulary + logitColumns - 1) / logitColumns, threads, [&](std::size_t part, std::size_t worker) {
        const std::size_t begin = part * logitColumns;
        const std::size_t count = std::min(logitColumns, vocabulary - begin);
        if (!m_weights.empty()) {
            visit(begin, m_weights.view().rowRange(begin, count));
            return;
        }
        const MatrixView<float> read = scratch.buffers().workers[worker].head.view(count, config.hiddenSize);
        m_model.readRows(RowTable::Head, begin, count, read);
        visit(begin, read);
    });
}

MatrixView<float> Head::chunk(ConstMatrixView<float> hidden, std::size_t first, ForwardScratch& scratch) const
{
    const ModelConfig& config = m_model.config();
    const std::size_t vocabulary = config.vocabularySize;
    ForwardScratch::Buffers& buffers = scratch.buffers();
    const std::size_t rows = std::min(chunkRows, hidden.rows - first);
    const MatrixView<float> normed = buffers.normed.view(rows, config.hiddenSize);
    for (std::size_t row = 0; row < rows; ++row)
        normalise(config, m_norm, hidden.rowSpan(first + row), normed.rowSpan(row));
    const MatrixView<float> logits = buffers.logits.view(rows, vocabulary);
    forParts(scratch, scratch.threads(), [&](std::size_t begin, ConstMatrixView<float> weights) {
        m_device.gemm(Transpose::No, Transpose::Yes, 1.0F, normed, weights, 0.0F,
                      logits.columnRange(begin, weights.rows));
    });
    for (std::size_t row = 0; row < rows; ++row) {
        if (!allFinite(logits.rowSpan(row)))
            throw Error(ErrorKind::NonFinite, fmt::format("the logits at position {} are not finite", first + row),
                        {.file = m_model.checkpoint().path()});
    }
    return logits;
}

void Head::backward(ConstMatrixView<float> hidden, std::size_t first, ConstMatrixView<float> dLogits,
                    MatrixView<float> gradient, ForwardScratch& scratch) const
{
    const ModelConfig& config = m_model.config();
    const MatrixView<float> dNormed = scratch.buffers().normed.view(dLogits.rows, config.hiddenSize);
    forParts(scratch, 1, [&](std::size_t begin, ConstMatrixView<float> weights) {
        m_device.gemm(Transpose::No, Transpose::No, 1.0F, dLogits.columnRange(begin, weights.rows), weights,
                      begin == 0 ? 0.0F : 1.0F, dNormed);
    });
    for (std::size_t row = 0; row < dLogits.rows; ++row) {
        std::ranges::fill(gradient.rowSpan(first + row), 0.0F);
        addNormGradient(config, m_norm, hidden.rowSpan(first + row), dNormed.rowSpan(row),
                        gradient.rowSpan(first + row));
    }
}

void Head::logits(ConstMatrixView<float> hidden, ForwardScratch& scratch,
                  const std::function<void(std::size_t, MatrixView<float>)>& visit) const
{
    for (std::size_t first = 0; first < hidden.rows; first += chunkRows)
        visit(first, chunk(hidden, first, scratch));
}

std::size_t Head::bytes() const
{
    return m_weights.size() * sizeof(float);
}

std::size_t Head::chunkBytes(std::size_t rows) const
{
    const ModelConfig& config = m_model.config();
    const std::size_t read = m_weights.empty() ? headPartBytes(config) : 0;
    return std::min(rows, chunkRows) * (config.vocabularySize + config.hiddenSize) * sizeof(float) + read;
}

} // namespace rankwright
