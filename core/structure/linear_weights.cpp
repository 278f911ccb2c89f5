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
    return parameterCount(stored(), shape());
}

StoredRank LinearWeights::stored() const
{
    return {.structure = structure(), .rank = rank(), .entries = sparse.entries()};
}

std::size_t LinearWeights::bytes() const
{
    const std::size_t indices = structure() == StructureKind::BlockIdentity ? shape().columns : 0;
    const std::size_t factors = parameterCount(StoredRank{structure(), rank()}, shape());
    return (factors + bias.size() + sparse.entries()) * sizeof(float) +
           (indices + sparse.entries()) * sizeof(std::uint32_t) + sparse.rowStart.size() * sizeof(std::size_t);
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
    LinearWeights result{.form = {}, .bias = weights.bias, .sparse = weights.sparse};
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
        part.sparse = weights.sparse.rowRange(first, count);
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

SparseParts sparseParts(const SparseMatrix<float>& S)
{
    SparseParts parts;
    parts.counts.reserve(S.rows());
    for (std::size_t i = 0; i < S.rows(); ++i)
        parts.counts.push_back(static_cast<std::int32_t>(S.end(i) - S.begin(i)));
    parts.columns.assign(S.column.begin(), S.column.end());
    return parts;
}

SparseMatrix<float> sparseMatrix(LinearShape shape, const SparseParts& parts, std::vector<float> values)
{
    const auto refuse = [](const std::string& why) { throw Error(ErrorKind::Corrupt, "the sparse part: " + why); };
    if (parts.counts.size() != shape.rows || parts.columns.size() != values.size())
        refuse(fmt::format("{} row counts and {} columns for {} values of {} rows", parts.counts.size(),
                           parts.columns.size(), values.size(), shape.rows));
    SparseMatrix<float> S{.columns = shape.columns, .rowStart = {0}, .column = {}, .values = std::move(values)};
    S.rowStart.reserve(shape.rows + 1);
    S.column.reserve(parts.columns.size());
    for (std::size_t i = 0; i < shape.rows; ++i) {
        const std::size_t left = parts.columns.size() - S.column.size();
        if (parts.counts[i] < 0 || static_cast<std::size_t>(parts.counts[i]) > left)
            refuse(fmt::format("row {} has {} entries, of {} left", i, parts.counts[i], left));
        for (std::int32_t last = -1, entry = 0; entry < parts.counts[i]; ++entry) {
            const std::int32_t column = parts.columns[S.column.size()];
            if (column <= last || static_cast<std::size_t>(column) >= shape.columns)
                refuse(fmt::format("column {} of row {} does not ascend within {} columns", column, i, shape.columns));
            S.column.push_back(static_cast<std::uint32_t>(column));
            last = column;
        }
        S.rowStart.push_back(S.column.size());
    }
    if (S.column.size() != parts.columns.size())
        refuse(fmt::format("rows have {} entries in all, there are {}", S.column.size(), parts.columns.size()));
    return S;
}

Matrix<double> Factorisation::approximation(const Device& device) const
{
    Matrix<double> result(B.rows(), A.columns());
    device.gemm(Transpose::No, Transpose::No, 1.0, B.view(), A.view(), 0.0, result.view());
    addSparse(sparse, 1.0, result.view());
    return result;
}

Matrix<double> expandLinear(const Device& device, const LinearWeights& weights)
{
    Matrix<double> W = std::visit(
        Overloaded{[](const DenseWeights& dense) { return convertMatrix<double>(dense.W); },
                   [&](const SharedLatentWeights&) {
                       LinearWeights own = withOwnLatents(weights);
                       own.sparse = {};
                       return expandLinear(device, own);
                   },
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
    addSparse(weights.sparse, 1.0, W.view());
    return W;
}

} // namespace rankwright
