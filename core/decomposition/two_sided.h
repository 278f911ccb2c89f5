#pragma once

#include "core/decomposition/curvature.h"
#include "core/decomposition/projection_kernel.h"

namespace rankwright {

/// L^T matrix, L lower triangular: what a two-sided method truncates, so that errors of outputs count by L L^T.
Matrix<double> inOutputMetric(const Device& device, const Matrix<double>& L, const Matrix<double>& matrix);

/// W_hat = L^-T U_r U_r^T M with M = L^T target, `basis` holding the rows u_i^T and u_i^T M; losses in nats per token
/// at every rank, 0 .. min(m, n).
class TwoSidedAnalysis final : public AnalysisInNats
{
public:
    TwoSidedAnalysis(const Device& device, LinearShape shape, Matrix<double> L, ProjectionBasis basis,
                     std::vector<double> losses, std::vector<NumericEvent> events);
    Factorisation factorize(std::size_t rank) const override;

private:
    const Device& m_device;
    Matrix<double> m_factor;      ///< L, m x m
    Matrix<double> m_vectors;     ///< U^T, N x m
    Matrix<double> m_coordinates; ///< U^T M, N x n
};

} // namespace rankwright
