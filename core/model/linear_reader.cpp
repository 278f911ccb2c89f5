#include "core/model/linear_reader.h"

#include "core/base/error.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace rankwright {

namespace {

Matrix<float> readMatrix(const Checkpoint& checkpoint, const TensorInfo& tensor)
{
    Matrix<float> values = checkpoint.readMatrix(tensor);
    checkpoint.release(tensor);
    requireFiniteValues(checkpoint, tensor, values.span());
    return values;
}

/// W (m x n) of a linear whose rows are columns of the stored tensor.
Matrix<float> readTransposed(const Checkpoint& checkpoint, const LinearTensors& tensors, LinearShape shape)
{
    // In parts, so that a large tensor is not held twice.
    constexpr std::size_t partRows = 64;
    const TensorInfo& tensor = *tensors.weight;
    Matrix<float> W(shape.rows, shape.columns);
    Matrix<float> part;
    for (std::size_t first = 0; first < shape.columns; first += partRows) {
        part.reshape(std::min(partRows, shape.columns - first), tensor.shape[1]);
        checkpoint.readRows(tensor, first, part.rows(), part.view());
        for (std::size_t row = 0; row < shape.rows; ++row)
            for (std::size_t column = 0; column < part.rows(); ++column)
                W(row, first + column) = part(column, tensors.firstRow + row);
    }
    checkpoint.release(tensor);
    requireFiniteValues(checkpoint, tensor, W.span());
    return W;
}

/// Row of the file that holds row `row` of Hugging Face: llama.cpp stores the rotary pairs of a head as neighbours
/// (2j, 2j + 1), Hugging Face as halves (j, j + width/2).
std::size_t pairedRow(std::size_t row, std::size_t headWidth)
{
    const std::size_t head = row / headWidth;
    const std::size_t inside = row % headWidth;
    const std::size_t half = headWidth / 2;
    return head * headWidth + 2 * (inside % half) + inside / half;
}

Matrix<float> unpairRows(const Matrix<float>& stored, std::size_t headWidth)
{
    Matrix<float> rows(stored.rows(), stored.columns());
    for (std::size_t row = 0; row < rows.rows(); ++row)
        std::copy_n(stored.row(pairedRow(row, headWidth)), rows.columns(), rows.row(row));
    return rows;
}

std::vector<std::uint32_t> readPivots(const Checkpoint& checkpoint, const TensorInfo& tensor, std::size_t columns)
{
    const std::vector<std::int32_t> stored = checkpoint.readIntegers(tensor);
    std::vector<std::uint32_t> pivots;
    for (const std::int32_t pivot : stored) {
        if (pivot < 0 || static_cast<std::size_t>(pivot) >= columns ||
            (!pivots.empty() && static_cast<std::uint32_t>(pivot) <= pivots.back()))
            throw Error(ErrorKind::Corrupt, fmt::format("pivot {} does not ascend within {} columns", pivot, columns),
                        {.file = checkpoint.files().at(tensor.file), .tensor = tensor.name});
        pivots.push_back(static_cast<std::uint32_t>(pivot));
    }
    return pivots;
}

SparseMatrix<float> readSparse(const Checkpoint& checkpoint, const LinearTensors& tensors, LinearShape shape)
{
    std::vector<float> values = checkpoint.readVector(*tensors.sparseValues);
    requireFiniteValues(checkpoint, *tensors.sparseValues, values);
    try {
        return sparseMatrix(shape,
                            {.counts = checkpoint.readIntegers(*tensors.sparseCounts),
                             .columns = checkpoint.readIntegers(*tensors.sparseColumns)},
                            std::move(values));
    } catch (const Error& error) {
        if (!error.tensor().empty())
            throw;
        throw Error(
            error.kind(), error.what(),
            {.file = checkpoint.files().at(tensors.sparseColumns->file), .tensor = tensors.sparseColumns->name});
    }
}

std::vector<std::uint32_t> otherColumns(const std::vector<std::uint32_t>& pivots, std::size_t columns)
{
    std::vector<std::uint32_t> rest;
    auto next = pivots.begin();
    for (std::uint32_t column = 0; column < columns; ++column) {
        if (next != pivots.end() && *next == column)
            ++next;
        else
            rest.push_back(column);
    }
    return rest;
}

Matrix<float> product(const Matrix<float>& B, const Matrix<float>& A)
{
    Matrix<float> W(B.rows(), A.columns());
    std::vector<double> sums(A.columns());
    for (std::size_t i = 0; i < B.rows(); ++i) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (std::size_t k = 0; k < B.columns(); ++k) {
            const auto b = static_cast<double>(B(i, k));
            const float* a = A.row(k);
            for (std::size_t j = 0; j < sums.size(); ++j)
                sums[j] += b * static_cast<double>(a[j]);
        }
        std::transform(sums.begin(), sums.end(), W.row(i), [](double sum) { return static_cast<float>(sum); });
    }
    return W;
}

} // namespace

void requireFiniteValues(const Checkpoint& checkpoint, const TensorInfo& tensor, std::span<const float> values)
{
    if (!allFinite(values))
        throw Error(ErrorKind::NonFinite, "the weights hold NaN or infinity",
                    {.file = checkpoint.files().at(tensor.file), .tensor = tensor.name});
}

LinearWeights readLinearWeights(const Checkpoint& checkpoint, const LinearInfo& info, const LinearTensors& tensors)
{
    LinearWeights weights;
    switch (info.structure) {
    case StructureKind::Dense: {
        DenseWeights dense{tensors.transposed ? readTransposed(checkpoint, tensors, info.shape)
                                              : readMatrix(checkpoint, *tensors.weight)};
        if (tensors.pairedHeadWidth != 0)
            dense.W = unpairRows(dense.W, tensors.pairedHeadWidth);
        weights.form = std::move(dense);
        break;
    }
    case StructureKind::Factors:
        weights.form = FactorWeights{readMatrix(checkpoint, *tensors.B), readMatrix(checkpoint, *tensors.A)};
        break;
    case StructureKind::BlockIdentity: {
        BlockIdentityWeights identity;
        identity.B = readMatrix(checkpoint, *tensors.B);
        identity.A2 = readMatrix(checkpoint, *tensors.A);
        identity.pivots = readPivots(checkpoint, *tensors.pivots, info.shape.columns);
        identity.rest = otherColumns(identity.pivots, info.shape.columns);
        weights.form = std::move(identity);
        break;
    }
    case StructureKind::SharedLatent:
        weights.form = SharedLatentWeights{readMatrix(checkpoint, *tensors.B), nullptr};
        break;
    }
    if (tensors.sparseValues)
        weights.sparse = readSparse(checkpoint, tensors, info.shape);
    if (tensors.bias) {
        const std::vector<float> all = checkpoint.readVector(*tensors.bias);
        requireFiniteValues(checkpoint, *tensors.bias, all);
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(tensors.firstRow);
        weights.bias.assign(first, first + static_cast<std::ptrdiff_t>(info.shape.rows));
        if (tensors.pairedHeadWidth != 0) {
            const std::vector<float> stored = weights.bias;
            for (std::size_t row = 0; row < stored.size(); ++row)
                weights.bias[row] = stored[pairedRow(row, tensors.pairedHeadWidth)];
        }
    }
    return weights;
}

namespace {

/// The product of the factors, without S.
Matrix<float> factorProduct(const LinearWeights& weights)
{
    if (std::holds_alternative<SharedLatentWeights>(weights.form))
        return factorProduct(withOwnLatents(weights));
    if (const auto* dense = std::get_if<DenseWeights>(&weights.form))
        return dense->W;
    if (const auto* factors = std::get_if<FactorWeights>(&weights.form))
        return product(factors->B, factors->A);
    const auto& identity = std::get<BlockIdentityWeights>(weights.form);
    const Matrix<float> others = product(identity.B, identity.A2);
    Matrix<float> W(identity.B.rows(), identity.pivots.size() + identity.rest.size());
    for (std::size_t row = 0; row < W.rows(); ++row) {
        for (std::size_t k = 0; k < identity.pivots.size(); ++k)
            W(row, identity.pivots[k]) = identity.B(row, k);
        for (std::size_t k = 0; k < identity.rest.size(); ++k)
            W(row, identity.rest[k]) = others(row, k);
    }
    return W;
}

} // namespace

Matrix<float> denseProduct(const LinearWeights& weights)
{
    Matrix<float> W = factorProduct(weights);
    addSparse(weights.sparse, 1.0F, W.view());
    return W;
}

} // namespace rankwright
