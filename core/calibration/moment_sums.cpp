#include "core/calibration/moment_sums.h"

#include <algorithm>

namespace rankwright {

std::size_t windowsPerGroup(std::size_t length)
{
    return std::max<std::size_t>(1, groupTokens / length);
}

void addProduct(const Matrix<double>& part, Matrix<double>& total, bool upperOnly)
{
    for (std::size_t i = 0; i < total.rows(); ++i) {
        const double* from = part.row(i);
        double* to = total.row(i);
        for (std::size_t j = upperOnly ? i : 0; j < total.columns(); ++j)
            to[j] += from[j];
    }
}

void zeroSquare(Matrix<double>& matrix, std::size_t n)
{
    matrix.reshape(n, n);
    std::fill_n(matrix.data(), matrix.size(), 0.0);
}

std::size_t largestBlockBytes(const Model& model)
{
    std::vector<std::size_t> bytes(model.config().blocks);
    for (const LinearInfo& linear : model.linears())
        bytes[linear.block] += linear.shape.parameters() * sizeof(float);
    return *std::ranges::max_element(bytes);
}

} // namespace rankwright
