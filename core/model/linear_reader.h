#pragma once

#include "core/model/layout.h"

#include <span>

namespace rankwright {

/// One linear in float32 in the form it is stored, rotary rows in the order of Hugging Face; its pages are released.
/// Throws Error(NonFinite) naming the tensor, Error(Corrupt) for pivots or columns of S that do not ascend or
/// leave the columns.
LinearWeights readLinearWeights(const Checkpoint& checkpoint, const LinearInfo& info, const LinearTensors& tensors);

/// W (m x n), the product of the factors where there are some, without the bias; products summed in float64.
Matrix<float> denseProduct(const LinearWeights& weights);

/// Throws Error(NonFinite) naming the tensor if a value read from it is not finite.
void requireFiniteValues(const Checkpoint& checkpoint, const TensorInfo& tensor, std::span<const float> values);

} // namespace rankwright
