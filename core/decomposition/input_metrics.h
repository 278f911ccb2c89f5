#pragma once

#include "core/decomposition/projection_kernel.h"

namespace rankwright {

/// diag(mean |x|)^alpha, at least 1e-6 of the largest so that a channel never seen does not vanish. Throws
/// Error(Mismatch or NonFinite) naming the linear.
std::vector<double> channelScale(const LinearProblem& problem, double alpha);

/// Raises what is below 1e-6 of the largest value to it; all ones where every value is 0.
void raiseToFloor(std::vector<double>& scale);

/// `share` times the mean of the diagonal of C: lambda of C + lambda I; 1 where C is 0 and `share` is not.
double dampingOf(const Matrix<double>& C, double share);

/// diag[(C + lambda I)^-1]^{-1/2}, the diagonal of OBS and GPTQ, normalised to the largest. Throws Error(Numeric)
/// naming the linear where C + lambda I is not positive definite.
std::vector<double> hessianScale(const Device& device, const Matrix<double>& C, double lambda, const std::string& name);

} // namespace rankwright
