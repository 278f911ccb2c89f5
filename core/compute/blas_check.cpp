#include "core/compute/blas_check.h"

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/compute/cpu_info.h"

#include <algorithm>
#include <array>
#include <cblas.h>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace rankwright {

namespace {

constexpr const char* triedVariable = "RANKWRIGHT_BLAS_TRIED";
constexpr const char* kernelVariable = "OPENBLAS_CORETYPE";

/// Whole numbers of [-8, 8] that depend on the place only.
template <typename T>
Matrix<T> wholeNumbers(std::size_t rows, std::size_t columns, std::uint32_t seed)
{
    Matrix<T> result(rows, columns);
    std::uint32_t state = seed;
    for (T& value : result.span()) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<T>(static_cast<int>((state >> 16U) % 17U) - 8);
    }
    return result;
}

/// A B by plain loops. Exact: |sum| <= 64 * 301 < 2^24.
template <typename T>
Matrix<T> plainProduct(const Matrix<T>& A, const Matrix<T>& B)
{
    Matrix<T> C(A.rows(), B.columns());
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t l = 0; l < A.columns(); ++l) {
            const T a = A(i, l);
            const T* b = B.row(l);
            T* c = C.row(i);
            for (std::size_t j = 0; j < B.columns(); ++j)
                c[j] += a * b[j];
        }
    return C;
}

struct ProductCase
{
    std::size_t m, n, k;
};

constexpr std::array<ProductCase, 5> productCases = {
    {{1, 70, 65}, {64, 64, 64}, {97, 33, 129}, {131, 257, 67}, {300, 35, 301}}};

template <typename T>
std::optional<std::string> findProductFault(const Device& device, const char* routine)
{
    for (const auto& [m, n, k] : productCases) {
        const Matrix<T> A = wholeNumbers<T>(m, k, 1);
        const Matrix<T> B = wholeNumbers<T>(k, n, 2);
        const Matrix<T> expected = plainProduct(A, B);
        const Matrix<T> storedA = transposed(A);
        const Matrix<T> storedB = transposed(B);
        Matrix<T> C(m, n);
        for (const Transpose tA : {Transpose::No, Transpose::Yes})
            for (const Transpose tB : {Transpose::No, Transpose::Yes}) {
                std::ranges::fill(C.span(), T{99});
                device.gemm(tA, tB, T{1}, tA == Transpose::Yes ? storedA.view() : A.view(),
                            tB == Transpose::Yes ? storedB.view() : B.view(), T{0}, C.view());
                if (!std::ranges::equal(C.span(), expected.span()))
                    return fmt::format("{} of {}x{} times {}x{}{}{} differs from plain loops", routine, m, k, k, n,
                                       tA == Transpose::Yes ? ", first transposed" : "",
                                       tB == Transpose::Yes ? ", second transposed" : "");
            }
    }
    return std::nullopt;
}

std::optional<std::string> findRankUpdateFault(const Device& device)
{
    for (const std::size_t n : {std::size_t{33}, std::size_t{64}, std::size_t{131}}) {
        const std::size_t rows = n + 30;
        const Matrix<float> X = wholeNumbers<float>(rows, n, 3);
        const Matrix<double> exact = convertMatrix<double>(X);
        const Matrix<double> expected = plainProduct(transposed(exact), exact);
        Matrix<double> moment(n, n);
        device.addSecondMoment(X.view(), moment.view());
        mirrorUpperToLower(moment.view());
        if (!std::ranges::equal(moment.span(), expected.span()))
            return fmt::format("ssyrk of {}x{} differs from plain loops", rows, n);
        Matrix<double> gram(n, n);
        device.gram(Transpose::Yes, exact.view(), gram.view());
        if (!std::ranges::equal(gram.span(), expected.span()))
            return fmt::format("dsyrk of {}x{} differs from plain loops", rows, n);
        device.gram(Transpose::No, transposed(exact).view(), gram.view());
        if (!std::ranges::equal(gram.span(), expected.span()))
            return fmt::format("dsyrk of {}x{} transposed differs from plain loops", rows, n);
    }
    return std::nullopt;
}

std::optional<std::string> findEigenFault(const Device& device)
{
    constexpr std::size_t n = 101;
    Matrix<double> A = wholeNumbers<double>(n, n, 4);
    mirrorUpperToLower(A.view());
    const SymmetricEigen eigen = device.symmetricEigen(A);
    if (eigen.values.size() != n || eigen.vectors.rows() != n || eigen.vectors.columns() != n)
        return "the symmetric eigendecomposition has the wrong shape";
    const Matrix<double> image = plainProduct(eigen.vectors, A);
    const Matrix<double> inner = plainProduct(eigen.vectors, transposed(eigen.vectors));
    // Entries are at most 8, the norm is about 8 sqrt(n) and rounding a small multiple of n epsilon.
    constexpr double tolerance = 1e-11;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
            if (!(std::abs(image(i, j) - eigen.values[i] * eigen.vectors(i, j)) < 8 * n * tolerance) ||
                !(std::abs(inner(i, j) - (i == j ? 1.0 : 0.0)) < tolerance))
                return fmt::format("eigenvector {} of a symmetric matrix of size {} is wrong", i, n);
    return std::nullopt;
}

/// One thread: the kernels are the same, and on a busy machine the barriers of OpenBLAS's threads take far longer.
std::optional<std::string> findCpuFault()
{
    const BlasThreads single(1);
    return findDeviceFault(*makeCpuDevice(1));
}

std::string faultMessage(const std::string& fault)
{
    const auto next = suggestedCoreType();
    return fmt::format("{} computes wrongly: {}; set {} to {} or install another OpenBLAS", blasName(), fault,
                       kernelVariable, next ? *next : "Haswell, Nehalem or Prescott");
}

bool canRun([[maybe_unused]] std::string_view coreType)
{
#if defined(__x86_64__)
    if (coreType == "Haswell")
        return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    if (coreType == "Nehalem")
        return __builtin_cpu_supports("sse4.2") != 0;
    return true;
#else
    return false;
#endif
}

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

} // namespace

std::optional<std::string> findDeviceFault(const Device& device)
{
    if (auto fault = findProductFault<float>(device, "sgemm"))
        return fault;
    if (auto fault = findProductFault<double>(device, "dgemm"))
        return fault;
    if (auto fault = findRankUpdateFault(device))
        return fault;
    return findEigenFault(device);
}

std::string checkBlas()
{
    if (const auto fault = findCpuFault())
        throw Error(ErrorKind::Numeric, faultMessage(*fault));
    return blasName();
}

std::optional<std::string> suggestedCoreType()
{
    const std::string tried = fmt::format(",{},{},", environment(triedVariable), openblas_get_corename());
    for (const std::string_view coreType : {"Haswell", "Nehalem", "Prescott"})
        if (canRun(coreType) && tried.find(fmt::format(",{},", coreType)) == std::string::npos)
            return std::string(coreType);
    return std::nullopt;
}

void ensureCorrectBlas(char** argv, const std::function<std::optional<std::string>()>& findFault)
{
    const auto fault = findFault ? findFault() : findCpuFault();
    if (!fault)
        return;
    const auto next = suggestedCoreType();
    if (!next)
        throw Error(ErrorKind::Numeric, faultMessage(*fault));
    logWarning(
        fmt::format("{} computes wrongly ({}); starting again with {}={}", blasName(), *fault, kernelVariable, *next));
    // Every name is tried once only, so that this ends.
    const std::string before = environment(triedVariable);
    const std::string tried = before.empty() ? *next : before + "," + *next;
    if (::setenv(triedVariable, tried.c_str(), 1) == 0 && ::setenv(kernelVariable, next->c_str(), 1) == 0)
        ::execv("/proc/self/exe", argv);
    throw Error(ErrorKind::Numeric,
                faultMessage(*fault) + fmt::format(" (starting again failed: {})", std::strerror(errno)));
}

} // namespace rankwright
