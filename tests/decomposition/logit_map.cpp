#include "logit_map.h"

#include "core/model/forward.h"
#include "reference.h"

#include <cmath>
#include <numeric>

using namespace rankwright;

std::vector<Matrix<double>> attentionInputs(const Model& model, const Device& device, const TokenWindows& windows,
                                            std::size_t blocks)
{
    const std::size_t length = windows.ids.front().size();
    std::vector<Matrix<double>> inputs(blocks, Matrix<double>(model.config().hiddenSize, windows.ids.size() * length));
    forwardWindows(
        model, device, windows.ids, {.threads = 1}, {},
        [](std::size_t, std::size_t, ConstMatrixView<float>, ForwardScratch&) {},
        [&](std::size_t block, std::size_t window, std::size_t, TapSite site, ConstMatrixView<float> X) {
            if (site != TapSite::AttentionInput || block >= blocks)
                return;
            for (std::size_t t = 0; t < X.rows; ++t)
                for (std::size_t j = 0; j < X.columns; ++j)
                    inputs[block](j, window * length + t) = static_cast<double>(X.row(t)[j]);
        });
    return inputs;
}

namespace {

/// Outputs with bias by token, every head turned by the position in the window.
Matrix<double> heads(const Matrix<double>& W, const std::vector<float>& bias, const Matrix<double>& X,
                     const AttentionGeometry& attention, std::size_t windowLength)
{
    Matrix<double> Y = reference::transposed(reference::product(W, X));
    const std::size_t half = attention.headWidth / 2;
    for (std::size_t t = 0; t < Y.rows(); ++t) {
        for (std::size_t i = 0; i < Y.columns() && !bias.empty(); ++i)
            Y(t, i) += static_cast<double>(bias[i]);
        for (std::size_t first = 0; first < Y.columns(); first += attention.headWidth)
            for (std::size_t j = 0; j < attention.frequencies.size(); ++j) {
                const double angle = static_cast<double>(t % windowLength) * attention.frequencies[j];
                const double a = Y(t, first + j);
                const double b = Y(t, first + j + half);
                Y(t, first + j) = a * std::cos(angle) - b * std::sin(angle);
                Y(t, first + j + half) = b * std::cos(angle) + a * std::sin(angle);
            }
    }
    return Y;
}

} // namespace

double logitError(const QueriesAndKeys& original, const QueriesAndKeys& other, const AttentionGeometry& attention,
                  const Matrix<double>& X, std::size_t windowLength, LogitPairs pairs)
{
    const auto turned = [&](const Matrix<double>& W, const std::vector<float>& bias) {
        return heads(W, bias, X, attention, windowLength);
    };
    const Matrix<double> Q = turned(original.Wq, original.bq);
    const Matrix<double> K = turned(original.Wk, original.bk);
    const Matrix<double> Qh = turned(other.Wq, other.bq);
    const Matrix<double> Kh = turned(other.Wk, other.bk);
    const std::size_t width = attention.headWidth;
    double sum = 0.0;
    for (std::size_t i = 0; i < attention.heads; ++i) {
        const std::size_t group = i * attention.keyValueHeads / attention.heads;
        for (std::size_t s = 0; s < X.columns(); ++s) {
            const std::size_t first = pairs == LogitPairs::All ? 0 : s / windowLength * windowLength;
            const std::size_t end = pairs == LogitPairs::All ? X.columns() : s + 1;
            std::vector<double> row;
            for (std::size_t t = first; t < end; ++t) {
                const double* q = Q.row(s) + i * width;
                const double* qh = Qh.row(s) + i * width;
                row.push_back(std::inner_product(q, q + width, K.row(t) + group * width, 0.0) -
                              std::inner_product(qh, qh + width, Kh.row(t) + group * width, 0.0));
            }
            const double mean = std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size());
            for (const double value : row)
                sum += (value - mean) * (value - mean);
        }
    }
    return sum;
}
