#include "core/base/error.h"
#include "core/structure/linear_weights.h"
#include "core/structure/sparse_product.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

namespace {

/// rows x columns of a buffer that only grows, so that alternating shapes neither allocate nor clear.
MatrixView<float> scratchView(Matrix<float>& buffer, std::size_t rows, std::size_t columns)
{
    if (buffer.size() < rows * columns)
        buffer.reshape(1, rows * columns);
    return {buffer.data(), rows, columns, columns};
}

void gatherColumns(ConstMatrixView<float> X, const std::vector<std::uint32_t>& columns, MatrixView<float> target)
{
    for (std::size_t t = 0; t < X.rows; ++t) {
        const float* from = X.row(t);
        float* to = target.row(t);
        for (std::size_t j = 0; j < columns.size(); ++j)
            to[j] = from[columns[j]];
    }
}

void scatterColumns(ConstMatrixView<float> from, const std::vector<std::uint32_t>& columns, bool add,
                    MatrixView<float> target)
{
    for (std::size_t t = 0; t < from.rows; ++t) {
        const float* values = from.row(t);
        float* to = target.row(t);
        for (std::size_t j = 0; j < columns.size(); ++j)
            to[columns[j]] = values[j] + (add ? to[columns[j]] : 0.0F);
    }
}

/// z = A x in the scratch of a linear in factors or with a block identity.
MatrixView<float> latentsOf(const Device& device, const LinearWeights& weights, ConstMatrixView<float> X,
                            LinearScratch& scratch)
{
    const MatrixView<float> latent = scratchView(scratch.latent, X.rows, weights.rank());
    if (const auto* factors = std::get_if<FactorWeights>(&weights.form)) {
        device.gemm(Transpose::No, Transpose::Yes, 1.0F, X, factors->A.view(), 0.0F, latent);
        return latent;
    }
    const auto& block = std::get<BlockIdentityWeights>(weights.form);
    gatherColumns(X, block.pivots, latent);
    if (!block.rest.empty()) {
        const MatrixView<float> rest = scratchView(scratch.gathered, X.rows, block.rest.size());
        gatherColumns(X, block.rest, rest);
        device.gemm(Transpose::No, Transpose::Yes, 1.0F, rest, block.A2.view(), 1.0F, latent);
    }
    return latent;
}

/// The linear whose A a linear uses, itself where it has one, null where it is dense.
const LinearWeights* latentOwner(const LinearWeights& weights)
{
    if (std::holds_alternative<DenseWeights>(weights.form))
        return nullptr;
    const auto* shared = std::get_if<SharedLatentWeights>(&weights.form);
    return shared != nullptr ? shared->owner.get() : &weights;
}

const Matrix<float>& outputFactor(const LinearWeights& weights)
{
    if (const auto* factors = std::get_if<FactorWeights>(&weights.form))
        return factors->B;
    if (const auto* shared = std::get_if<SharedLatentWeights>(&weights.form))
        return shared->B;
    return std::get<BlockIdentityWeights>(weights.form).B;
}

void requireShapes(const LinearWeights& weights, ConstMatrixView<float> X, ConstMatrixView<float> Y)
{
    const LinearShape shape = weights.shape();
    if (X.columns != shape.columns || Y.columns != shape.rows || X.rows != Y.rows ||
        (!weights.bias.empty() && weights.bias.size() != shape.rows))
        throw Error(ErrorKind::Internal,
                    fmt::format("a linear of {}x{} with {} biases cannot bring {}x{} inputs to {}x{} outputs",
                                shape.rows, shape.columns, weights.bias.size(), X.rows, X.columns, Y.rows, Y.columns));
}

} // namespace

void applyLinears(const Device& device, std::span<const LinearWeights* const> weights, ConstMatrixView<float> X,
                  std::span<const MatrixView<float>> Y, LinearScratch& scratch)
{
    const LinearWeights* computed = nullptr;
    MatrixView<float> latent{};
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const LinearWeights& linear = *weights[i];
        requireShapes(linear, X, Y[i]);
        if (X.rows == 0 || Y[i].columns == 0)
            continue;
        float keep = 0.0F;
        if (!linear.bias.empty()) {
            for (std::size_t t = 0; t < Y[i].rows; ++t)
                std::copy(linear.bias.begin(), linear.bias.end(), Y[i].row(t));
            keep = 1.0F;
        }
        if (const auto* dense = std::get_if<DenseWeights>(&linear.form)) {
            device.gemm(Transpose::No, Transpose::Yes, 1.0F, X, dense->W.view(), keep, Y[i]);
            continue;
        }
        const LinearWeights* owner = latentOwner(linear);
        if (owner != computed) {
            latent = latentsOf(device, *owner, X, scratch);
            computed = owner;
        }
        device.gemm(Transpose::No, Transpose::Yes, 1.0F, latent, outputFactor(linear).view(), keep, Y[i]);
        if (!linear.sparse.empty())
            addSparseProduct(linear.sparse, X, Y[i], scratch.sparse);
    }
}

void applyLinear(const Device& device, const LinearWeights& weights, ConstMatrixView<float> X, MatrixView<float> Y,
                 LinearScratch& scratch)
{
    const LinearWeights* const one = &weights;
    applyLinears(device, {&one, 1}, X, {&Y, 1}, scratch);
}

namespace {

/// dX = dY B A, or dX += dY B A where `add`.
void applyFactorsTransposed(const Device& device, const LinearWeights& weights, ConstMatrixView<float> dY,
                            MatrixView<float> dX, bool add, LinearScratch& scratch)
{
    const float keep = add ? 1.0F : 0.0F;
    const MatrixView<float> latent = scratchView(scratch.latent, dY.rows, weights.rank());
    device.gemm(Transpose::No, Transpose::No, 1.0F, dY, outputFactor(weights).view(), 0.0F, latent);
    const LinearWeights& owner = *latentOwner(weights);
    if (const auto* factors = std::get_if<FactorWeights>(&owner.form)) {
        device.gemm(Transpose::No, Transpose::No, 1.0F, latent, factors->A.view(), keep, dX);
        return;
    }
    const auto& block = std::get<BlockIdentityWeights>(owner.form);
    scatterColumns(latent, block.pivots, add, dX);
    if (block.rest.empty())
        return;
    const MatrixView<float> rest = scratchView(scratch.gathered, dY.rows, block.rest.size());
    device.gemm(Transpose::No, Transpose::No, 1.0F, latent, block.A2.view(), 0.0F, rest);
    scatterColumns(rest, block.rest, add, dX);
}

} // namespace

void applyLinearTransposed(const Device& device, const LinearWeights& weights, ConstMatrixView<float> dY,
                           MatrixView<float> dX, bool add, LinearScratch& scratch)
{
    const LinearShape shape = weights.shape();
    if (dY.columns != shape.rows || dX.columns != shape.columns || dX.rows != dY.rows)
        throw Error(ErrorKind::Internal,
                    fmt::format("gradients of {}x{} cannot pass a linear of {}x{} to {}x{}", dY.rows, dY.columns,
                                shape.rows, shape.columns, dX.rows, dX.columns));
    if (dY.rows == 0 || shape.columns == 0)
        return;
    if (const auto* dense = std::get_if<DenseWeights>(&weights.form)) {
        device.gemm(Transpose::No, Transpose::No, 1.0F, dY, dense->W.view(), add ? 1.0F : 0.0F, dX);
        return;
    }
    applyFactorsTransposed(device, weights, dY, dX, add, scratch);
    if (!weights.sparse.empty())
        addSparseTransposed(weights.sparse, dY, dX, scratch.sparse);
}

} // namespace rankwright
