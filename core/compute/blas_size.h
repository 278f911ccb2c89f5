#pragma once

#include "core/tensor/matrix.h"

#include <cstddef>

namespace rankwright {

/// A size as BLAS and LAPACK take it. Throws Error(Numeric) above the largest 32-bit integer.
int blasSize(std::size_t size);

/// Throws Error(Numeric) if a LAPACK routine reported failure.
void requireSuccess(int info, const char* routine, std::size_t size);

/// Throws Error(Numeric) if a reciprocal condition number is below the float64 epsilon.
void requireConditioned(double reciprocalCondition, const char* property, std::size_t size);

/// Throws Error(NonFinite) naming the first value that is not finite. Row i is looked at from column i * slope, so
/// that slope 1 reads the upper triangle only and slope 0 everything.
void requireFinite(ConstMatrixView<double> A, std::size_t slope, const char* operation);

} // namespace rankwright
