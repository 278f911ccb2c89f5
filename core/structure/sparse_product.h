#pragma once

#include "core/tensor/sparse_matrix.h"

#include <span>

namespace rankwright {

// Products with a sparse S of m x n, float32, by blocks of 16 inputs laid out channel by channel, so that an entry is
// one step of vector arithmetic. `buffer` is reused from call to call.

/// Y += X S^T for X of T x n and Y of T x m.
void addSparseProduct(const SparseMatrix<float>& S, ConstMatrixView<float> X, MatrixView<float> Y,
                      Matrix<float>& buffer);

/// dX += dY S for dY of T x m and dX of T x n.
void addSparseTransposed(const SparseMatrix<float>& S, ConstMatrixView<float> dY, MatrixView<float> dX,
                         Matrix<float>& buffer);

/// gradient_e += sum over inputs of dy_i x_j for every entry e = (i, j) of S, in the order of S.values.
void addSparseGradient(const SparseMatrix<float>& S, ConstMatrixView<float> X, ConstMatrixView<float> dY,
                       std::span<float> gradient, Matrix<float>& buffer);

} // namespace rankwright
