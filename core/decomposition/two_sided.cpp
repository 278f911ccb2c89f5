#include "core/decomposition/two_sided.h"

namespace rankwright {

Matrix<double> inOutputMetric(const Device& device, const Matrix<double>& L, const Matrix<double>& matrix)
{
    Matrix<double> result(matrix.rows(), matrix.columns());
    device.gemm(Transpose::Yes, Transpose::No, 1.0, L.view(), matrix.view(), 0.0, result.view());
    return result;
}

TwoSidedAnalysis::TwoSidedAnalysis(const Device& device, LinearShape shape, Matrix<double> L, ProjectionBasis basis,
                                   std::vector<double> losses, std::vector<NumericEvent> events)
    : m_device(device)
    , m_factor(std::move(L))
    , m_vectors(std::move(basis.vectors))
    , m_coordinates(std::move(basis.coordinates))
{
    m_shape = shape;
    m_losses = std::move(losses);
    m_totalEnergy = m_losses.front();
    m_singularValues = std::move(basis.singularValues);
    m_events = std::move(events);
}

Factorisation TwoSidedAnalysis::factorize(std::size_t rank) const
{
    requireRank(m_shape, rank, false);
    Factorisation result = leadingFactors(m_vectors, m_coordinates, rank);
    m_device.solveLower(Transpose::Yes, m_factor, result.B.view());
    return result;
}

} // namespace rankwright
