#include "core/calibration/mixture.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/calibration/calibration_files.h"
#include "core/calibration/tap_file.h"

#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rankwright {

namespace {

void requireEqualKind(std::span<const WeightedSet> sets, std::size_t entries)
{
    if (sets.empty())
        throw Error(ErrorKind::InvalidArgument, "a mixture of no statistics");
    for (const WeightedSet& each : sets) {
        if (!(each.weight > 0.0) || !std::isfinite(each.weight))
            throw Error(ErrorKind::InvalidArgument, fmt::format("weight {} of a calibration text", each.weight));
        const CalibrationSet& set = *each.set;
        if (set.summaries().size() != entries || set.windowLength() != sets.front().set->windowLength())
            throw Error(ErrorKind::Mismatch,
                        fmt::format("statistics of {} entries and windows of {} tokens among those of {} and {}",
                                    set.summaries().size(), set.windowLength(), entries,
                                    sets.front().set->windowLength()),
                        {.file = set.folder()});
        for (std::size_t i = 0; i < entries; ++i)
            if (set.summaries()[i].width != sets.front().set->summaries()[i].width ||
                set.summaries()[i].weightSquares != sets.front().set->summaries()[i].weightSquares ||
                set.summaries()[i].weightMoments != sets.front().set->summaries()[i].weightMoments)
                throw Error(ErrorKind::Mismatch,
                            fmt::format("entry {} has {} channels and {} in another text, or other sums", i,
                                        set.summaries()[i].width, sets.front().set->summaries()[i].width),
                            {.file = set.folder()});
    }
}

/// sums += scale * part; starts from zeros where `sums` is empty.
void addScaled(std::vector<double>& sums, double scale, const std::vector<double>& part)
{
    sums.resize(part.size());
    for (std::size_t i = 0; i < part.size(); ++i)
        sums[i] += scale * part[i];
}

void addScaled(Matrix<double>& sums, double scale, const Matrix<double>& part)
{
    if (sums.empty())
        sums = Matrix<double>(part.rows(), part.columns());
    for (std::size_t i = 0; i < part.size(); ++i)
        sums.data()[i] += scale * part.data()[i];
}

TapStatistics mixedEntry(std::span<const WeightedSet> sets, std::size_t entry)
{
    double weights = 0.0;
    std::size_t tokens = 0;
    for (const WeightedSet& each : sets) {
        weights += each.weight;
        tokens += each.set->summaries()[entry].tokens;
    }
    TapStatistics mixed;
    for (const WeightedSet& each : sets) {
        const TapStatistics one = each.set->load(entry);
        const double scale = each.weight / weights * static_cast<double>(tokens) / static_cast<double>(one.tokens);
        addScaled(mixed.secondMoment, scale, one.secondMoment);
        addScaled(mixed.sum, scale, one.sum);
        addScaled(mixed.sumAbs, scale, one.sumAbs);
        addScaled(mixed.weightSquares, scale, one.weightSquares);
        addScaled(mixed.weightInputs, scale, one.weightInputs);
        addScaled(mixed.weightOutputs, scale, one.weightOutputs);
    }
    mixed.tokens = tokens;
    return mixed;
}

} // namespace

std::string mixtureFingerprint(std::span<const std::string> fingerprints, std::span<const double> weights)
{
    if (fingerprints.size() == 1)
        return fingerprints.front();
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    Hasher hasher;
    hasher.update(std::string_view("mixture with weight squares")).update(statisticsVersion);
    for (std::size_t i = 0; i < fingerprints.size(); ++i)
        hasher.update(std::string_view(fingerprints[i])).update(std::string_view(fmt::format("{}", weights[i] / sum)));
    return hasher.hex();
}

CalibrationSet mixSets(const Model& model, std::span<const WeightedSet> sets, const std::vector<std::string>& names,
                       const std::filesystem::path& cache, const TaskContext& context)
{
    requireEqualKind(sets, names.size());
    if (sets.size() == 1)
        return *sets.front().set;
    std::vector<std::string> fingerprints;
    std::vector<double> weights;
    std::size_t windows = 0;
    for (const WeightedSet& each : sets) {
        fingerprints.push_back(each.set->fingerprint());
        weights.push_back(each.weight);
        windows += each.set->windows();
    }
    const std::string fingerprint = mixtureFingerprint(fingerprints, weights);
    return findOrMakeSet(cache / fingerprint, names.size(), context, [&](const std::filesystem::path& temporary) {
        std::vector<TapSummary> summaries;
        for (std::size_t entry = 0; entry < names.size(); ++entry) {
            context.checkStop();
            context.report("mix", names[entry], entry, names.size());
            TapStatistics mixed = mixedEntry(sets, entry);
            summaries.push_back(summarise(mixed));
            writeTapFile(temporary / tapFileName(entry), mixed);
        }
        writeManifest(temporary,
                      {.fingerprint = fingerprint,
                       .weights = model.checkpoint().fingerprint(),
                       .windowsFingerprint = fingerprint,
                       .windows = windows,
                       .windowLength = sets.front().set->windowLength()},
                      names, summaries);
    });
}

} // namespace rankwright
