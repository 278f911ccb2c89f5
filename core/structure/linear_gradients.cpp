#include "core/structure/linear_gradients.h"

#include "core/structure/sparse_product.h"

#include <cmath>
#include <utility>

namespace rankwright {

namespace {

void gatherColumns(ConstMatrixView<float> X, const std::vector<std::uint32_t>& columns, Matrix<float>& target)
{
    target.reshape(X.rows, columns.size());
    for (std::size_t t = 0; t < X.rows; ++t)
        for (std::size_t j = 0; j < columns.size(); ++j)
            target(t, j) = X(t, columns[j]);
}

void addColumnSums(ConstMatrixView<float> dY, std::vector<float>& bias)
{
    for (std::size_t i = 0; i < bias.size(); ++i) {
        double sum = 0.0;
        for (std::size_t t = 0; t < dY.rows; ++t)
            sum += static_cast<double>(dY(t, i));
        bias[i] += static_cast<float>(sum);
    }
}

} // namespace

std::vector<std::span<float>> trainedValues(LinearWeights& weights)
{
    std::vector<std::span<float>> values;
    if (auto* factors = std::get_if<FactorWeights>(&weights.form))
        values = {factors->B.span(), factors->A.span()};
    else if (auto* block = std::get_if<BlockIdentityWeights>(&weights.form))
        values = {block->B.span(), block->A2.span()};
    else
        return {};
    if (!weights.bias.empty())
        values.emplace_back(weights.bias);
    if (!weights.sparse.empty())
        values.emplace_back(weights.sparse.values);
    return values;
}

void balanceFactors(LinearWeights& weights)
{
    auto* factors = std::get_if<FactorWeights>(&weights.form);
    if (factors == nullptr)
        return;
    for (std::size_t k = 0; k < factors->A.rows(); ++k) {
        double left = 0.0;
        double right = 0.0;
        for (std::size_t i = 0; i < factors->B.rows(); ++i)
            left += static_cast<double>(factors->B(i, k)) * static_cast<double>(factors->B(i, k));
        for (std::size_t j = 0; j < factors->A.columns(); ++j)
            right += static_cast<double>(factors->A(k, j)) * static_cast<double>(factors->A(k, j));
        if (left == 0.0 || right == 0.0)
            continue;
        const double scale = std::sqrt(std::sqrt(right / left));
        for (std::size_t i = 0; i < factors->B.rows(); ++i)
            factors->B(i, k) = static_cast<float>(static_cast<double>(factors->B(i, k)) * scale);
        for (std::size_t j = 0; j < factors->A.columns(); ++j)
            factors->A(k, j) = static_cast<float>(static_cast<double>(factors->A(k, j)) / scale);
    }
}

void addLinearGradients(const Device& device, const LinearWeights& weights, ConstMatrixView<float> X,
                        ConstMatrixView<float> dY, LinearWeights& gradient, LinearGradientScratch& scratch)
{
    const auto* factors = std::get_if<FactorWeights>(&weights.form);
    const auto* block = std::get_if<BlockIdentityWeights>(&weights.form);
    if (factors == nullptr && block == nullptr)
        return;
    const std::size_t rank = weights.rank();
    scratch.dLatent.reshape(dY.rows, rank);
    const Matrix<float>& B = factors ? factors->B : block->B;
    device.gemm(Transpose::No, Transpose::No, 1.0F, dY, B.view(), 0.0F, scratch.dLatent.view());
    const ConstMatrixView<float> dZ = std::as_const(scratch.dLatent).view();
    if (factors) {
        auto& target = std::get<FactorWeights>(gradient.form);
        scratch.latent.reshape(X.rows, rank);
        device.gemm(Transpose::No, Transpose::Yes, 1.0F, X, factors->A.view(), 0.0F, scratch.latent.view());
        device.gemm(Transpose::Yes, Transpose::No, 1.0F, dY, std::as_const(scratch.latent).view(), 1.0F,
                    target.B.view());
        device.gemm(Transpose::Yes, Transpose::No, 1.0F, dZ, X, 1.0F, target.A.view());
    } else {
        auto& target = std::get<BlockIdentityWeights>(gradient.form);
        gatherColumns(X, block->pivots, scratch.latent);
        if (!block->rest.empty()) {
            gatherColumns(X, block->rest, scratch.gathered);
            const ConstMatrixView<float> rest = std::as_const(scratch.gathered).view();
            device.gemm(Transpose::No, Transpose::Yes, 1.0F, rest, block->A2.view(), 1.0F, scratch.latent.view());
            device.gemm(Transpose::Yes, Transpose::No, 1.0F, dZ, rest, 1.0F, target.A2.view());
        }
        device.gemm(Transpose::Yes, Transpose::No, 1.0F, dY, std::as_const(scratch.latent).view(), 1.0F,
                    target.B.view());
    }
    addColumnSums(dY, gradient.bias);
    if (!weights.sparse.empty())
        addSparseGradient(weights.sparse, X, dY, gradient.sparse.values, scratch.sparse);
}

} // namespace rankwright
