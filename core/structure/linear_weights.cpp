#include "core/structure/linear_weights.h"

#include "core/base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

namespace {

template <typename... Cases>
struct Overloaded : Cases...
{
    using Cases::operator()...;
};

template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

const LinearWeights& ownerOf(const SharedLatentWeights& shared)
{
    if (!shared.owner)
        throw Error(ErrorKind::Internal,
                    fmt::format("the latents of a linear of {} rows are not known", shared.B.rows()));
    return *shared.owner;
}

/// Rows [first, first + count) of B.
Matrix<float> rowsOf(const Matrix<float>& B, std::size_t first, std::size_t count)
{
    Matrix<float> part(count, B.columns());
    std::copy_n(B.row(first), part.size(), part.data());
    return part;
}

} // namespace

StructureKind LinearWeights::structure() const
{
    return std::visit(Overloaded{[](const DenseWeights&) { return StructureKind::Dense; },
                                 [](const FactorWeights&) { return StructureKind::Factors; },
                                 [](const BlockIdentityWeights&) { return StructureKind::BlockIdentity; },
                                 [](const SharedLatentWeights&) { return StructureKind::SharedLatent; }},
                      form);
}

LinearShape LinearWeights::shape() const
{
    return std::visit(Overloaded{[](const DenseWeights& dense) {
                                     return LinearShape{dense.W.rows(), dense.W.columns()};
                                 },
                                 [](const FactorWeights& factors) {
                                     return LinearShape{factors.B.rows(), factors.A.columns()};
                                 },
                                 [](const BlockIdentityWeights& block) {
                                     return LinearShape{block.B.rows(), block.pivots.size() + block.rest.size()};
                                 },
                                 [](const SharedLatentWeights& shared) {
                                     return LinearShape{shared.B.rows(), ownerOf(shared).shape().columns};
                                 }},
                      form);
}

std::size_t LinearWeights::rank() const
{
    return std::visit(Overloaded{[](const DenseWeights& dense) {
                                     return LinearShape{dense.W.rows(), dense.W.columns()}.fullRank();
                                 },
                                 [](const auto& factors) { return factors.B.columns(); }},
                      form);
}

std::size_t LinearWeights::parameters() const
{
    return parameterCount(structure(), shape(), rank());
}

std::size_t LinearWeights::bytes() const
{
    const std::size_t indices = structure() == StructureKind::BlockIdentity ? shape().columns : 0;
    return (parameters() + bias.size()) * sizeof(float) + indices * sizeof(std::uint32_t);
}

LinearWeights withOwnLatents(const LinearWeights& weights)
{
    const auto* shared = std::get_if<SharedLatentWeights>(&weights.form);
    if (shared == nullptr)
        return weights;
    const LinearWeights& owner = ownerOf(*shared);
    if (owner.rank() != shared->B.columns())
        throw Error(ErrorKind::Internal,
                    fmt::format("{} latents for a linear that reads {}", owner.rank(), shared->B.columns()));
    LinearWeights result{.form = {}, .bias = weights.bias};
    if (const auto* factors = std::get_if<FactorWeights>(&owner.form)) {
        result.form = FactorWeights{shared->B, factors->A};
    } else if (const auto* identity = std::get_if<BlockIdentityWeights>(&owner.form)) {
        result.form = BlockIdentityWeights{shared->B, identity->A2, identity->pivots, identity->rest};
    } else {
        throw Error(ErrorKind::Internal,
                    fmt::format("a linear of structure {} has no latents to share", structureName(owner.structure())));
    }
    return result;
}

std::vector<std::shared_ptr<const LinearWeights>> splitRows(const LinearWeights& weights,
                                                            std::span<const std::size_t> rows)
{
    std::vector<std::shared_ptr<const LinearWeights>> result;
    std::size_t first = 0;
    for (const std::size_t count : rows) {
        LinearWeights part;
        if (!weights.bias.empty())
            part.bias.assign(weights.bias.begin() + static_cast<std::ptrdiff_t>(first),
                             weights.bias.begin() + static_cast<std::ptrdiff_t>(first + count));
        if (const auto* factors = std::get_if<FactorWeights>(&weights.form)) {
            Matrix<float> B = rowsOf(factors->B, first, count);
            if (result.empty())
                part.form = FactorWeights{std::move(B), factors->A};
            else
                part.form = SharedLatentWeights{std::move(B), result.front()};
        } else if (const auto* identity = std::get_if<BlockIdentityWeights>(&weights.form)) {
            Matrix<float> B = rowsOf(identity->B, first, count);
            if (result.empty())
                part.form = BlockIdentityWeights{std::move(B), identity->A2, identity->pivots, identity->rest};
            else
                part.form = SharedLatentWeights{std::move(B), result.front()};
        } else {
            throw Error(ErrorKind::Internal, fmt::format("linears of structure {} cannot share latents",
                                                         structureName(weights.structure())));
        }
        result.push_back(std::make_shared<const LinearWeights>(std::move(part)));
        first += count;
    }
    return result;
}

Matrix<double> expandLinear(const Device& device, const LinearWeights& weights)
{
    return std::visit(
        Overloaded{[](const DenseWeights& dense) { return convertMatrix<double>(dense.W); },
                   [&](const SharedLatentWeights&) { return expandLinear(device, withOwnLatents(weights)); },
                   [&](const FactorWeights& factors) {
                       const auto B = convertMatrix<double>(factors.B);
                       const auto A = convertMatrix<double>(factors.A);
                       Matrix<double> product(B.rows(), A.columns());
                       device.gemm(Transpose::No, Transpose::No, 1.0, B.view(), A.view(), 0.0, product.view());
                       return product;
                   },
                   [&](const BlockIdentityWeights& block) {
                       const auto B = convertMatrix<double>(block.B);
                       Matrix<double> rest(B.rows(), block.rest.size());
                       if (!block.rest.empty()) {
                           const auto A2 = convertMatrix<double>(block.A2);
                           device.gemm(Transpose::No, Transpose::No, 1.0, B.view(), A2.view(), 0.0, rest.view());
                       }
                       Matrix<double> product(B.rows(), block.pivots.size() + block.rest.size());
                       for (std::size_t i = 0; i < B.rows(); ++i) {
                           for (std::size_t j = 0; j < block.pivots.size(); ++j)
                               product(i, block.pivots[j]) = B(i, j);
                           for (std::size_t j = 0; j < block.rest.size(); ++j)
                               product(i, block.rest[j]) = rest(i, j);
                       }
                       return product;
                   }},
        weights.form);
}

} // namespace rankwright
