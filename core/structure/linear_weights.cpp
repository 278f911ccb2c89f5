#include "core/structure/linear_weights.h"

namespace rankwright {

namespace {

template <typename... Cases>
struct Overloaded : Cases...
{
    using Cases::operator()...;
};

template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

} // namespace

StructureKind LinearWeights::structure() const
{
    return std::visit(Overloaded{[](const DenseWeights&) { return StructureKind::Dense; },
                                 [](const FactorWeights&) { return StructureKind::Factors; },
                                 [](const BlockIdentityWeights&) { return StructureKind::BlockIdentity; }},
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
                                 }},
                      form);
}

std::size_t LinearWeights::rank() const
{
    return std::visit(Overloaded{[](const DenseWeights& dense) {
                                     return LinearShape{dense.W.rows(), dense.W.columns()}.fullRank();
                                 },
                                 [](const FactorWeights& factors) { return factors.B.columns(); },
                                 [](const BlockIdentityWeights& block) { return block.B.columns(); }},
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

Matrix<double> expandLinear(const Device& device, const LinearWeights& weights)
{
    return std::visit(
        Overloaded{[](const DenseWeights& dense) { return convertMatrix<double>(dense.W); },
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
