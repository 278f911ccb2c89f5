#pragma once

#include "core/compute/device.h"
#include "core/structure/structure.h"
#include "core/tensor/matrix.h"
#include "core/tensor/sparse_matrix.h"

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

namespace rankwright {

/// W, m x n.
struct DenseWeights
{
    Matrix<float> W;
};

/// W_hat = B A with B of m x r and A of r x n.
struct FactorWeights
{
    Matrix<float> B;
    Matrix<float> A;
};

/// W_hat[:, pivots] = B and W_hat[:, rest] = B A2 with B of m x r, A2 of r x (n - r), `pivots` ascending and `rest`
/// the other columns, ascending. Forward: z = x[pivots] + A2 x[rest], y = B z.
struct BlockIdentityWeights
{
    Matrix<float> B;
    Matrix<float> A2;
    std::vector<std::uint32_t> pivots;
    std::vector<std::uint32_t> rest;
};

struct LinearWeights;

/// W_hat = B A with the A of another linear of the same input, so that both have the latents z = A x.
struct SharedLatentWeights
{
    Matrix<float> B; ///< m x r
    /// In factors or with a block identity, of rank r. Null where only B was read: Model::loadBlock() then takes the
    /// first linear of the same input.
    std::shared_ptr<const LinearWeights> owner;
};

/// The weights of one linear in the form it is stored and run.
struct LinearWeights
{
    std::variant<DenseWeights, FactorWeights, BlockIdentityWeights, SharedLatentWeights> form;
    std::vector<float> bias;         ///< m values, or empty
    SparseMatrix<float> sparse = {}; ///< S, added to the product of the factors; empty for none

    StructureKind structure() const;
    LinearShape shape() const;
    /// r, or min(m, n) where dense.
    std::size_t rank() const;
    /// structure() and rank() with the entries of S.
    StoredRank stored() const;
    /// Weights only, without the bias.
    std::size_t parameters() const;
    /// Bytes in memory; shared latents count where their owner does.
    std::size_t bytes() const;
};

/// The same linear with an A of its own: as it is but for shared latents, whose structure becomes that of their owner.
LinearWeights withOwnLatents(const LinearWeights& weights);

/// Linears under one another, stored in factors or with a block identity, as linears of `rows` rows each: the first has
/// A, the others share it. Their sum of parameters is that of the whole. A bias is split likewise.
std::vector<std::shared_ptr<const LinearWeights>> splitRows(const LinearWeights& weights,
                                                            std::span<const std::size_t> rows);

/// What an S of a linear is made of, as it is stored: for every row how many entries it has, then their columns,
/// ascending, and values, row by row.
struct SparseParts
{
    std::vector<std::int32_t> counts;  ///< m
    std::vector<std::int32_t> columns; ///< k
};
SparseParts sparseParts(const SparseMatrix<float>& S);
/// The S of `parts` and its k values. Throws Error(Corrupt) where they are no S of the shape with k entries.
SparseMatrix<float> sparseMatrix(LinearShape shape, const SparseParts& parts, std::vector<float> values);

/// Reusable buffers of apply(); one per thread.
struct LinearScratch
{
    Matrix<float> gathered;
    Matrix<float> latent;
    Matrix<float> sparse;
};

/// Y = X W_hat^T + bias for X of T x n and Y of T x m.
void applyLinear(const Device& device, const LinearWeights& weights, ConstMatrixView<float> X, MatrixView<float> Y,
                 LinearScratch& scratch);

/// applyLinear() of linears that read the same input; latents that they share are computed once.
void applyLinears(const Device& device, std::span<const LinearWeights* const> weights, ConstMatrixView<float> X,
                  std::span<const MatrixView<float>> Y, LinearScratch& scratch);

/// dX = dY W_hat, or dX += dY W_hat where `add`, for dY of T x m and dX of T x n: the gradient with respect to the
/// input.
void applyLinearTransposed(const Device& device, const LinearWeights& weights, ConstMatrixView<float> dY,
                           MatrixView<float> dX, bool add, LinearScratch& scratch);

/// The dense m x n product of the stored values, in float64: what every measured loss is of.
Matrix<double> expandLinear(const Device& device, const LinearWeights& weights);

/// A rank-r factorisation in float64 before it is stored: W_hat = B A + S, B of m x r with full column rank. The
/// methods give orthonormal columns and A = B^T (W - S).
struct Factorisation
{
    Matrix<double> B;
    Matrix<double> A;
    std::vector<double> bias = {};    ///< m values that take the place of the linear's bias; empty: it stays as it is
    SparseMatrix<double> sparse = {}; ///< S; empty for methods that have none

    /// B A + S.
    Matrix<double> approximation(const Device& device) const;
};

/// Brings B A into a stored structure, rounding to `storage` (F32, F16 or BF16; values are kept as float32 that are
/// exact in it). The second factor is solved again for the rounded first one, A = (B~^T B~)^-1 B~^T (B A), so that
/// what rounding B loses inside its column space costs nothing. B A stands in for W here: with B orthonormal and
/// A = B^T W the difference (I - B B^T) W is orthogonal to B, so refitting to W instead changes A only by the product
/// of rounding and discarded part, and the error by its square. For the same reason rounding A changes no loss to
/// first order, whatever the input statistics.
/// Block identity: columns chosen by column-pivoted QR of A, J = A[:, pivots], B' = B J rounded, and
/// A2 = (B^T B')^-1 A[:, rest] likewise for the rounded B' (methods 0.4).
/// S is rounded as it is, with all its entries.
/// Kind Dense stores the product B A + S; SharedLatent comes from splitRows(). A bias is rounded to float32, never to
/// less: it costs m values. Throws Error(Numeric) for values beyond the range of `storage`.
LinearWeights storeFactorisation(const Device& device, const Factorisation& factorisation, StructureKind kind,
                                 DType storage);

} // namespace rankwright
