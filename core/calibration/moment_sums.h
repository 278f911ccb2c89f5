#pragma once

#include "core/model/model.h"
#include "core/tensor/matrix.h"

namespace rankwright {

/// Rows of X whose float32 products are made at once. Many, because every product is then added to a float64 matrix;
/// few enough that float32 sums stay accurate and that small runs have work for all threads.
inline constexpr std::size_t groupTokens = 1024;

/// Windows of one group.
std::size_t windowsPerGroup(std::size_t length);
/// total += part.
void addProduct(const Matrix<double>& part, Matrix<double>& total, bool upperOnly);
/// matrix <- n x n zeros.
void zeroSquare(Matrix<double>& matrix, std::size_t n);
/// Float32 weights of the largest block.
std::size_t largestBlockBytes(const Model& model);

} // namespace rankwright
