#include "core/training/distillation_loss.h"

#include <cmath>

namespace rankwright {

double distillationLoss(ConstMatrixView<float> output, ConstMatrixView<float> target, double scale,
                        MatrixView<float> gradient)
{
    const auto width = static_cast<double>(output.columns);
    double loss = 0.0;
    for (std::size_t row = 0; row < output.rows; ++row) {
        const float* a = output.row(row);
        const float* y = target.row(row);
        double distance = 0.0;
        double product = 0.0;
        double squareA = 0.0;
        double squareY = 0.0;
        for (std::size_t j = 0; j < output.columns; ++j) {
            const auto aj = static_cast<double>(a[j]);
            const auto yj = static_cast<double>(y[j]);
            distance += std::abs(aj - yj);
            product += aj * yj;
            squareA += aj * aj;
            squareY += yj * yj;
        }
        const double norms = std::sqrt(squareA) * std::sqrt(squareY);
        const bool directed = norms != 0.0;
        const double cosine = directed ? product / norms : 0.0;
        // -log sigmoid(c) = log(1 + exp(-c)), whose derivative is -sigmoid(-c).
        loss += distance / width + std::log1p(std::exp(-cosine));
        if (gradient.rows == 0)
            continue;
        const double slope = directed ? -1.0 / (1.0 + std::exp(cosine)) : 0.0;
        const double ofTarget = directed ? slope / norms : 0.0;
        const double ofOutput = directed ? slope * cosine / squareA : 0.0;
        float* d = gradient.row(row);
        for (std::size_t j = 0; j < output.columns; ++j) {
            const double sign = a[j] > y[j] ? 1.0 : a[j] < y[j] ? -1.0 : 0.0;
            d[j] = static_cast<float>(
                scale * (sign / width + ofTarget * static_cast<double>(y[j]) - ofOutput * static_cast<double>(a[j])));
        }
    }
    return loss;
}

} // namespace rankwright
