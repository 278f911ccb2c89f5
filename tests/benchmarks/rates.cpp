#include "core/base/parallel.h"
#include "tests/benchmarks/support.h"

#include <cblas.h>
#include <cstring>
#include <numeric>

namespace rankwright::benchmarks {

namespace {

constexpr std::size_t size = 2048;

template <typename T>
void product(benchmark::State& state)
{
    const BlasThreads threads(cpu().info().threads);
    Matrix<T> A(size, size);
    std::iota(A.span().begin(), A.span().end(), T(-1));
    Matrix<T> C(size, size);
    for (auto _ : state)
        cpu().gemm(Transpose::No, Transpose::Yes, T(1), A.view(), A.view(), T(0), C.view());
    state.counters["flop"] = 2.0 * size * size * size;
}

void copy(benchmark::State& state)
{
    constexpr std::size_t bytes = std::size_t{1} << 28;
    const AlignedVector<char> from(bytes, 'a');
    AlignedVector<char> to(bytes);
    for (auto _ : state) {
        std::memcpy(to.data(), from.data(), bytes);
        benchmark::ClobberMemory();
    }
    state.counters["byte"] = 2.0 * static_cast<double>(bytes);
}

} // namespace

void addRates()
{
    add("rate/sgemm", product<float>);
    add("rate/dgemm", product<double>);
    add("rate/copy", copy);
}

} // namespace rankwright::benchmarks
