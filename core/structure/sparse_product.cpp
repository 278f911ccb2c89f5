#include "core/structure/sparse_product.h"

#include "core/compute/vector_kernel.h"

#include <algorithm>
#include <array>

namespace rankwright {

namespace {

constexpr std::size_t lanes = 16;

/// Rows [first, first + lanes) of X by column, `lanes` values each; zeros past the last row.
void layOut(ConstMatrixView<float> X, std::size_t first, float* columns)
{
    const std::size_t count = std::min(lanes, X.rows - first);
    if (count < lanes)
        std::fill_n(columns, X.columns * lanes, 0.0F);
    for (std::size_t t = 0; t < count; ++t) {
        const float* from = X.row(first + t);
        for (std::size_t j = 0; j < X.columns; ++j)
            columns[j * lanes + t] = from[j];
    }
}

RANKWRIGHT_VECTOR_KERNEL
void multiply(const SparseMatrix<float>& S, const float* X, MatrixView<float> Y)
{
    for (std::size_t i = 0; i < S.rows(); ++i) {
        std::array<float, lanes> sum{};
        for (std::size_t e = S.begin(i); e < S.end(i); ++e) {
            const float value = S.values[e];
            const float* x = X + S.column[e] * lanes;
            for (std::size_t t = 0; t < lanes; ++t)
                sum[t] += value * x[t];
        }
        for (std::size_t t = 0; t < Y.rows; ++t)
            Y(t, i) += sum[t];
    }
}

RANKWRIGHT_VECTOR_KERNEL
void multiplyTransposed(const SparseMatrix<float>& S, const float* dY, float* dX)
{
    for (std::size_t i = 0; i < S.rows(); ++i) {
        const float* dy = dY + i * lanes;
        for (std::size_t e = S.begin(i); e < S.end(i); ++e) {
            const float value = S.values[e];
            float* dx = dX + S.column[e] * lanes;
            for (std::size_t t = 0; t < lanes; ++t)
                dx[t] += value * dy[t];
        }
    }
}

RANKWRIGHT_VECTOR_KERNEL
void addOuterProducts(const SparseMatrix<float>& S, const float* X, const float* dY, std::span<float> gradient)
{
    for (std::size_t i = 0; i < S.rows(); ++i) {
        const float* dy = dY + i * lanes;
        for (std::size_t e = S.begin(i); e < S.end(i); ++e) {
            const float* x = X + S.column[e] * lanes;
            std::array<float, lanes> products{};
            for (std::size_t t = 0; t < lanes; ++t)
                products[t] = dy[t] * x[t];
            float sum = 0.0F;
            for (const float product : products)
                sum += product;
            gradient[e] += sum;
        }
    }
}

float* reserve(Matrix<float>& buffer, std::size_t columns)
{
    if (buffer.size() < columns * lanes)
        buffer.reshape(1, columns * lanes);
    return buffer.data();
}

} // namespace

void addSparseProduct(const SparseMatrix<float>& S, ConstMatrixView<float> X, MatrixView<float> Y,
                      Matrix<float>& buffer)
{
    float* columns = reserve(buffer, X.columns);
    for (std::size_t first = 0; first < X.rows; first += lanes) {
        layOut(X, first, columns);
        multiply(S, columns, Y.rowRange(first, std::min(lanes, X.rows - first)));
    }
}

void addSparseTransposed(const SparseMatrix<float>& S, ConstMatrixView<float> dY, MatrixView<float> dX,
                         Matrix<float>& buffer)
{
    float* rows = reserve(buffer, dY.columns + dX.columns);
    float* columns = rows + dY.columns * lanes;
    for (std::size_t first = 0; first < dY.rows; first += lanes) {
        layOut(dY, first, rows);
        std::fill_n(columns, dX.columns * lanes, 0.0F);
        multiplyTransposed(S, rows, columns);
        for (std::size_t t = 0; t < std::min(lanes, dY.rows - first); ++t) {
            float* to = dX.row(first + t);
            for (std::size_t j = 0; j < dX.columns; ++j)
                to[j] += columns[j * lanes + t];
        }
    }
}

void addSparseGradient(const SparseMatrix<float>& S, ConstMatrixView<float> X, ConstMatrixView<float> dY,
                       std::span<float> gradient, Matrix<float>& buffer)
{
    float* rows = reserve(buffer, dY.columns + X.columns);
    float* columns = rows + dY.columns * lanes;
    for (std::size_t first = 0; first < X.rows; first += lanes) {
        layOut(dY, first, rows);
        layOut(X, first, columns);
        addOuterProducts(S, columns, rows, gradient);
    }
}

} // namespace rankwright
