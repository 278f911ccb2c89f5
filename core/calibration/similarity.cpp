#include "core/calibration/similarity.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/task_part.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <optional>

namespace rankwright {

namespace {

std::size_t directionsOf(const TapStatistics& tap, std::size_t directions)
{
    return std::clamp<std::size_t>(directions, 1, tap.secondMoment.rows());
}

void requireAlike(const TapStatistics& a, const TapStatistics& b)
{
    const std::size_t n = a.secondMoment.rows();
    if (n == 0 || b.secondMoment.rows() != n || a.sumAbs.size() != n || b.sumAbs.size() != n)
        throw Error(ErrorKind::Mismatch,
                    fmt::format("statistics of {} and {} channels cannot be compared", n, b.secondMoment.rows()));
}

/// `first` are the principal directions of `a`.
TapSimilarity compareTaps(const Device& device, const TapStatistics& a, const SymmetricEigen& first,
                          const TapStatistics& b, std::size_t directions)
{
    TapSimilarity result;
    const auto dot = [](const std::vector<double>& x, const std::vector<double>& y) {
        return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
    };
    const double norms = std::sqrt(dot(a.sumAbs, a.sumAbs)) * std::sqrt(dot(b.sumAbs, b.sumAbs));
    result.cosine = norms > 0.0 ? dot(a.sumAbs, b.sumAbs) / norms : 0.0;

    const std::size_t k = directionsOf(b, directions);
    const SymmetricEigen second = device.symmetricEigen(b.secondMoment, k);
    Matrix<double> products(k, k);
    device.gemm(Transpose::No, Transpose::Yes, 1.0, first.vectors.view(), second.vectors.view(), 0.0, products.view());
    const double squares =
        std::inner_product(products.span().begin(), products.span().end(), products.span().begin(), 0.0);
    result.overlap = squares / static_cast<double>(k);
    return result;
}

} // namespace

TapSimilarity compareTaps(const Device& device, const TapStatistics& a, const TapStatistics& b, std::size_t directions)
{
    requireAlike(a, b);
    return compareTaps(device, a, device.symmetricEigen(a.secondMoment, directionsOf(a, directions)), b, directions);
}

std::vector<std::vector<TapSimilarity>> compareCalibrations(const Model& model, const Device& device,
                                                            const CalibrationSet& reference,
                                                            std::span<const CalibrationSet> others,
                                                            std::size_t directions, std::size_t threads,
                                                            const TaskContext& context)
{
    const std::size_t taps = model.taps().size();
    for (const CalibrationSet& other : others)
        if (reference.summaries().size() != taps || other.summaries().size() != taps)
            throw Error(ErrorKind::Mismatch, fmt::format("statistics of {} and {} input sites for a model of {}",
                                                         reference.summaries().size(), other.summaries().size(), taps));
    std::vector<std::vector<TapSimilarity>> result(others.size(), std::vector<TapSimilarity>(taps));
    std::atomic<std::size_t> done = 0;
    const BlasThreads one(1);
    parallelFor(taps, std::max<std::size_t>(threads, 1), [&](std::size_t tap, std::size_t) {
        const TapStatistics a = reference.load(tap);
        std::optional<SymmetricEigen> first;
        for (std::size_t other = 0; other < others.size(); ++other) {
            context.checkStop();
            const TapStatistics b = others[other].load(tap);
            requireAlike(a, b);
            if (!first)
                first = device.symmetricEigen(a.secondMoment, directionsOf(a, directions));
            result[other][tap] = compareTaps(device, a, *first, b, directions);
            context.report("compare", model.taps()[tap].name, ++done, taps * others.size());
        }
    });
    return result;
}

std::vector<std::vector<TapSimilarity>> compareTexts(const Model& model, const Device& device,
                                                     const CalibrationSet& reference,
                                                     std::span<const TokenWindows> others, std::size_t directions,
                                                     const std::filesystem::path& cache, const PassOptions& options,
                                                     const TaskContext& context)
{
    const std::size_t parts = others.size() + 1;
    std::vector<CalibrationSet> sets;
    sets.reserve(others.size());
    for (const TokenWindows& windows : others)
        sets.push_back(calibrate(model, device, windows, cache, options, partOf(context, sets.size() + 1, parts)));
    return compareCalibrations(model, device, reference, sets, directions, effectiveThreads(options), context);
}

Spread spreadOf(const std::vector<double>& values)
{
    Spread spread;
    if (values.empty())
        return spread;
    const auto count = static_cast<double>(values.size());
    spread.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
    for (const double value : values)
        spread.deviation += (value - spread.mean) * (value - spread.mean) / count;
    spread.deviation = std::sqrt(spread.deviation);
    return spread;
}

} // namespace rankwright
