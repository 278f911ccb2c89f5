#pragma once

#include "core/model/model.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rankwright {

/// Gradients of the negative log-likelihood of the next tokens, summed over a window, by linear.
struct LinearGradient
{
    Matrix<double> weight; ///< m x n, of W: sum over tokens of g x^T
    Matrix<double> square; ///< m x m, sum over tokens of g g^T
};

/// One window after the other through Head::backward() and backwardBlock(), sums in float64; added to `gradients`.
/// Returns the negative log-likelihood.
double addGradients(const Model& model, const Device& device, const std::vector<std::int32_t>& ids,
                    std::map<std::string, LinearGradient>& gradients);

} // namespace rankwright
