#include "core/base/error.h"
#include "core/compute/elementwise.h"
#include "core/structure/linear_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fmt/format.h>
#include <limits>
#include <utility>

namespace rankwright {

namespace {

/// Rounds to the nearest values of `storage`, kept as float32; whether all are finite.
bool roundTo(DType storage, std::span<float> values)
{
    if (storage != DType::F32) {
        std::vector<std::byte> bytes(bytesFor(storage, values.size()));
        convertFromFloat(values, storage, bytes);
        convertToFloat(storage, bytes, values);
    }
    return allFinite(std::span<const float>(values));
}

/// Nearest values of `storage`, kept as float32.
Matrix<float> rounded(const Matrix<double>& exact, DType storage)
{
    Matrix<float> result = convertMatrix<float>(exact);
    if (!roundTo(storage, result.span()))
        throw Error(ErrorKind::Numeric, fmt::format("a factor of {}x{} has values that are not finite or beyond the "
                                                    "range of {}; store it in a wider type",
                                                    exact.rows(), exact.columns(), dtypeName(storage)));
    return result;
}

SparseMatrix<float> rounded(const SparseMatrix<double>& exact, DType storage)
{
    SparseMatrix<float> result{exact.columns, exact.rowStart, exact.column,
                               std::vector<float>(exact.values.begin(), exact.values.end())};
    if (!roundTo(storage, result.values))
        throw Error(ErrorKind::Numeric,
                    fmt::format("the sparse part of a {}x{} linear has values that are not finite or beyond the range "
                                "of {}; store it in a wider type",
                                exact.rows(), exact.columns, dtypeName(storage)));
    return result;
}

Matrix<double> product(const Device& device, Transpose transposeA, const Matrix<double>& A, const Matrix<double>& B)
{
    Matrix<double> C(transposeA == Transpose::Yes ? A.columns() : A.rows(), B.columns());
    device.gemm(transposeA, Transpose::No, 1.0, A.view(), B.view(), 0.0, C.view());
    return C;
}

Matrix<double> columnsOf(const Matrix<double>& A, const std::vector<std::uint32_t>& columns)
{
    Matrix<double> result(A.rows(), columns.size());
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t j = 0; j < columns.size(); ++j)
            result(i, j) = A(i, columns[j]);
    return result;
}

bool isIdentity(const Matrix<double>& S)
{
    constexpr double tolerance = 1e-11;
    for (std::size_t i = 0; i < S.rows(); ++i)
        for (std::size_t j = 0; j < S.columns(); ++j)
            if (std::abs(S(i, j) - (i == j ? 1.0 : 0.0)) > tolerance)
                return false;
    return true;
}

/// (B^T B)^-1 B^T R: the coordinates of R in the columns of B.
Matrix<double> coordinates(const Device& device, const Matrix<double>& B, const Matrix<double>& R)
{
    Matrix<double> result = product(device, Transpose::Yes, B, R);
    Matrix<double> S(B.columns(), B.columns());
    device.gram(Transpose::Yes, B.view(), S.view());
    if (!isIdentity(S))
        device.solvePositiveDefinite(std::move(S), result.view());
    return result;
}

/// J^-1 R; where J is singular (W of lower rank than asked for), the shortest solution J^T (J J^T)^+ R.
Matrix<double> solvedFor(const Device& device, const Matrix<double>& J, const Matrix<double>& R)
{
    try {
        Matrix<double> solution = R;
        device.solve(J, solution.view());
        return solution;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::Numeric)
            throw;
    }
    Matrix<double> S(J.rows(), J.rows());
    device.gram(Transpose::No, J.view(), S.view());
    const SymmetricEigen eigen = device.symmetricEigen(std::move(S));
    const double cut = eigen.values.empty() ? 0.0
                                            : eigen.values.front() * static_cast<double>(J.rows()) *
                                                  std::numeric_limits<double>::epsilon();
    Matrix<double> inCoordinates = product(device, Transpose::No, eigen.vectors, R);
    for (std::size_t i = 0; i < inCoordinates.rows(); ++i)
        for (std::size_t j = 0; j < inCoordinates.columns(); ++j)
            inCoordinates(i, j) = eigen.values[i] > cut ? inCoordinates(i, j) / eigen.values[i] : 0.0;
    return product(device, Transpose::Yes, J, product(device, Transpose::Yes, eigen.vectors, inCoordinates));
}

FactorWeights storeFactors(const Device& device, const Factorisation& factorisation, DType storage)
{
    FactorWeights result;
    result.B = rounded(factorisation.B, storage);
    const auto stored = convertMatrix<double>(result.B);
    const Matrix<double> change = coordinates(device, stored, factorisation.B);
    result.A = rounded(product(device, Transpose::No, change, factorisation.A), storage);
    return result;
}

BlockIdentityWeights storeBlockIdentity(const Device& device, const Factorisation& factorisation, DType storage)
{
    const std::size_t rank = factorisation.A.rows();
    const std::size_t columns = factorisation.A.columns();
    const std::vector<std::size_t> order = device.pivotedColumns(factorisation.A);
    BlockIdentityWeights result;
    std::vector<bool> chosen(columns, false);
    for (std::size_t i = 0; i < rank; ++i)
        chosen[order[i]] = true;
    for (std::size_t j = 0; j < columns; ++j)
        (chosen[j] ? result.pivots : result.rest).push_back(static_cast<std::uint32_t>(j));

    const Matrix<double> J = columnsOf(factorisation.A, result.pivots);
    result.B = rounded(product(device, Transpose::No, factorisation.B, J), storage);
    if (result.rest.empty()) {
        result.A2.reshape(rank, 0);
        return result;
    }
    // The junction of the rounded B': with it instead of J the rounding of B' costs nothing to first order.
    const Matrix<double> junction = coordinates(device, factorisation.B, convertMatrix<double>(result.B));
    result.A2 = rounded(solvedFor(device, junction, columnsOf(factorisation.A, result.rest)), storage);
    return result;
}

} // namespace

LinearWeights storeFactorisation(const Device& device, const Factorisation& factorisation, StructureKind kind,
                                 DType storage)
{
    const Matrix<double>& B = factorisation.B;
    const Matrix<double>& A = factorisation.A;
    if (B.columns() != A.rows() || B.columns() == 0 || B.columns() > std::min(B.rows(), A.columns()))
        throw Error(ErrorKind::Internal, fmt::format("factors of {}x{} and {}x{} are no factorisation", B.rows(),
                                                     B.columns(), A.rows(), A.columns()));
    if (!factorisation.bias.empty() && factorisation.bias.size() != B.rows())
        throw Error(ErrorKind::Internal, fmt::format("{} biases of {} outputs", factorisation.bias.size(), B.rows()));
    LinearWeights weights;
    weights.bias.assign(factorisation.bias.begin(), factorisation.bias.end());
    if (!allFinite(std::span<const float>(weights.bias)))
        throw Error(ErrorKind::Numeric, "a bias has values that are not finite or beyond the range of float32");
    switch (kind) {
    case StructureKind::Dense:
        weights.form = DenseWeights{rounded(factorisation.approximation(device), storage)};
        return weights;
    case StructureKind::Factors:
        weights.form = storeFactors(device, factorisation, storage);
        break;
    case StructureKind::BlockIdentity:
        weights.form = storeBlockIdentity(device, factorisation, storage);
        break;
    case StructureKind::SharedLatent:
        throw Error(ErrorKind::Internal, "a linear alone has no latents to share");
    }
    weights.sparse = rounded(factorisation.sparse, storage);
    return weights;
}

} // namespace rankwright
