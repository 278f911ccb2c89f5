#pragma once

#include "core/decomposition/method.h"

namespace rankwright {

// Losses in nats. With A the mean of x x^T over tokens and G the mean of g g^T, g the gradient of the summed negative
// log-likelihood with respect to a linear's output at a token (calibrateCurvature), a change D = W - W_hat costs
// 1/2 tr(G D A D^T) nats per token to second order (Kronecker-factored curvature, Martens and Grosse 2015).

/// A second moment with `damping` times its mean diagonal added.
Matrix<double> withDamping(const Matrix<double>& moment, double damping);

/// 1/2 tr(G E) in nats per token, G with `damping` times its mean diagonal added, E the mean of e e^T over tokens,
/// e = D x - biasChange (b_hat - b, m values, or empty for none: E = D A D^T), or W x - W_hat x_hat - biasChange where
/// statistics are anchored. Throws Error(InvalidArgument) where the
/// problem has no statistics of inputs or gradients, Error(Mismatch) for those of another width.
double curvatureLoss(const Device& device, const LinearProblem& problem, const Matrix<double>& approximation,
                     double damping = 0.0, std::span<const double> biasChange = {});

/// The same for every rank 0 .. min(m, n) of W_hat = V_r^T V_r W with orthonormal rows V (N x m, most important first)
/// and coordinates V W (N x n); exact for N = min(m, n).
std::vector<double> projectionCurvature(const Device& device, const LinearProblem& problem,
                                        const Matrix<double>& vectors, const Matrix<double>& coordinates);

/// The same for any analysis, from the factors of at most 18 ranks, between which it is geometric; falling.
std::vector<double> sampledCurvature(const Device& device, const LinearProblem& problem, const Analysis& analysis);

/// Lower triangular L with L L^T = G + added I, G per token and `added` = `damping` times its mean diagonal (1 where no
/// gradient ever arrives: any metric is as good then, and errors of all outputs count alike). Notes "damped". Throws as
/// requireCurvature().
Matrix<double> dampedCurvature(const Device& device, const LinearProblem& problem, double damping,
                               std::vector<NumericEvent>& events);

/// The same of any positive semi-definite moment of a problem's outputs, given as a sum over `tokens`.
Matrix<double> dampedFactor(const Device& device, const LinearProblem& problem, const Matrix<double>& moment,
                            std::size_t tokens, double damping, std::vector<NumericEvent>& events);

/// The parameter "damping" as methods list it.
ParameterInfo dampingInfo();

/// An analysis whose losses are nats per token, known at every rank from the start.
class AnalysisInNats : public Analysis
{
public:
    double loss(std::size_t rank) const override;
    std::vector<double> lossAtEveryRank() const override { return m_losses; }
    std::vector<double> curvatureCurve(const Device&, const LinearProblem&) const override { return m_losses; }

protected:
    std::vector<double> m_losses; ///< at rank 0 .. min(m, n)
};

/// Throws Error(InvalidArgument or Mismatch) unless the problem has statistics of its inputs and gradients that fit.
void requireCurvature(const LinearProblem& problem);
/// Nats per token of a unit of energy of the outputs in the metric of dampedCurvature(): 1/2 over tokens. 0 where no
/// gradient arrives at the linear: its metric then orders directions and is no loss. Throws as requireCurvature().
double natsOfEnergy(const LinearProblem& problem);

} // namespace rankwright
