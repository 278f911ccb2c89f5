#include "core/compute/blas_size.h"

#include "core/base/error.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace rankwright {

int blasSize(std::size_t size)
{
    if (size > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        throw Error(ErrorKind::Numeric, fmt::format("size {} is beyond the 32-bit integers of BLAS (at most {})", size,
                                                    std::numeric_limits<int>::max()));
    return static_cast<int>(size);
}

void requireSuccess(int info, const char* routine, std::size_t size)
{
    if (info != 0)
        throw Error(ErrorKind::Numeric, fmt::format("LAPACK {} failed on a matrix of size {}: info {}{}", routine, size,
                                                    info, info < 0 ? " (illegal argument)" : ""));
}

void requireConditioned(double reciprocalCondition, const char* property, std::size_t size)
{
    if (!(reciprocalCondition >= std::numeric_limits<double>::epsilon()))
        throw Error(ErrorKind::Numeric,
                    fmt::format("matrix of size {} is not {} to working precision: reciprocal condition {:.3g}", size,
                                property, reciprocalCondition));
}

void requireFinite(ConstMatrixView<double> A, std::size_t slope, const char* operation)
{
    for (std::size_t i = 0; i < A.rows; ++i) {
        const auto part = A.rowSpan(i).subspan(std::min(i * slope, A.columns));
        if (allFinite(part))
            continue;
        const auto found = std::find_if(part.begin(), part.end(), [](double v) { return !std::isfinite(v); });
        const auto column = A.columns - part.size() + static_cast<std::size_t>(found - part.begin());
        throw Error(ErrorKind::NonFinite, fmt::format("{}: value at row {}, column {} of a {}x{} matrix is {}",
                                                      operation, i, column, A.rows, A.columns, *found));
    }
}

} // namespace rankwright
