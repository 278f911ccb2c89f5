#include "core/compute/blas_size.h"
#include "tests/benchmarks/support.h"

#include <cblas.h>
#include <fmt/format.h>
#include <lapacke.h>

namespace rankwright::benchmarks {

namespace {

constexpr std::size_t tokens = 2048;

double momentFlops(std::size_t n)
{
    return static_cast<double>(tokens) * static_cast<double>(n) * static_cast<double>(n + 1);
}

void secondMoment(benchmark::State& state, std::size_t n)
{
    const BlasThreads one(1);
    const Matrix<float> X = normalMatrix(tokens, n, 1);
    Matrix<double> C(n, n);
    for (auto _ : state)
        cpu().addSecondMoment(X.view(), C.view());
    state.counters["flop"] = momentFlops(n);
}

void ssyrk(benchmark::State& state, std::size_t n)
{
    const BlasThreads one(1);
    const Matrix<float> X = normalMatrix(tokens, n, 1);
    Matrix<float> C(n, n);
    const int size = blasSize(n);
    for (auto _ : state)
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, size, static_cast<int>(tokens), 1.0F, X.data(), size, 0.0F,
                    C.data(), size);
    state.counters["flop"] = momentFlops(n);
}

/// X^T X of random values.
Matrix<double> gramMatrix(std::size_t n)
{
    const Matrix<double> X = convertMatrix<double>(normalMatrix(2 * n, n, 1));
    Matrix<double> G(n, n);
    cpu().gram(Transpose::Yes, X.view(), G.view());
    return G;
}

void eigen(benchmark::State& state, std::size_t n, std::size_t wanted)
{
    const BlasThreads threads(cpu().info().threads);
    const Matrix<double> G = gramMatrix(n);
    for (auto _ : state)
        benchmark::DoNotOptimize(cpu().symmetricEigen(G, wanted));
}

void dsyevd(benchmark::State& state, std::size_t n)
{
    const BlasThreads threads(cpu().info().threads);
    const Matrix<double> G = gramMatrix(n);
    std::vector<double> values(n);
    const int size = blasSize(n);
    for (auto _ : state) {
        Matrix<double> vectors = G;
        requireSuccess(LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', size, vectors.data(), size, values.data()), "dsyevd",
                       n);
    }
}

} // namespace

void addStages()
{
    for (const std::size_t n : {576, 1536, 2048}) {
        add(fmt::format("moment/{}/rankwright", n), [n](benchmark::State& state) { secondMoment(state, n); });
        add(fmt::format("moment/{}/ssyrk", n), [n](benchmark::State& state) { ssyrk(state, n); });
    }
    for (const std::size_t n : {576, 768, 2048}) {
        add(fmt::format("eigen/{}/rankwright", n), [n](benchmark::State& state) { eigen(state, n, 0); });
        add(fmt::format("eigen/{}/half", n), [n](benchmark::State& state) { eigen(state, n, n / 2); });
        add(fmt::format("eigen/{}/dsyevd", n), [n](benchmark::State& state) { dsyevd(state, n); });
    }
}

} // namespace rankwright::benchmarks
