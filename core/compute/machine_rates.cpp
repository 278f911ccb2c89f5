#include "core/compute/machine_rates.h"

#include "core/base/parallel.h"
#include "core/base/stopwatch.h"

#include <algorithm>
#include <barrier>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace rankwright {

namespace {

constexpr std::size_t size = 256;
constexpr double wantedSeconds = 0.004;

template <typename T>
double rateOf(const Device& device, std::size_t threads)
{
    std::vector<double> rates(threads);
    std::barrier together(static_cast<std::ptrdiff_t>(threads));
    parallelFor(threads, threads, [&](std::size_t worker, std::size_t) {
        Matrix<T> A(size, size);
        std::iota(A.span().begin(), A.span().end(), T(-1));
        Matrix<T> C(size, size);
        const auto product = [&] {
            device.gemm(Transpose::No, Transpose::Yes, T(1), A.view(), A.view(), T(0), C.view());
        };
        product(); // the first one takes memory and wakes the processor
        together.arrive_and_wait();
        // The fastest of them: others may take the processor away in between.
        const Stopwatch watch;
        double fastest = wantedSeconds;
        for (double now = 0.0; now < wantedSeconds;) {
            product();
            const double before = std::exchange(now, watch.seconds());
            fastest = std::min(fastest, now - before);
        }
        rates[worker] = 2.0 * static_cast<double>(size * size * size) / fastest;
    });
    return std::accumulate(rates.begin(), rates.end(), 0.0);
}

} // namespace

MachineRates measuredRates(const Device& device, std::size_t threads)
{
    const std::size_t workers = std::clamp<std::size_t>(threads, 1, processorCount());
    static std::mutex mutex;
    static std::map<std::pair<std::string, std::size_t>, MachineRates> known;
    const std::lock_guard lock(mutex);
    const auto [entry, isNew] = known.try_emplace({device.info().id, workers});
    if (isNew) {
        const BlasThreads one(1);
        entry->second = {.floats = rateOf<float>(device, workers), .doubles = rateOf<double>(device, workers)};
    }
    return entry->second;
}

} // namespace rankwright
