#include "core/experiment/sensitivities.h"

#include "core/allocation/rank_costs.h"
#include "core/base/hash.h"
#include "core/evaluation/block_influence.h"
#include "core/evaluation/probes.h"
#include "core/experiment/runner.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

namespace rankwright {

namespace {

TokenWindows firstWindows(const TokenWindows& windows)
{
    const std::size_t length = windows.ids.front().size();
    const std::size_t count = std::clamp<std::size_t>(sensitivityTokens / length, 1, windows.ids.size());
    TokenWindows first;
    first.ids.assign(windows.ids.begin(), windows.ids.begin() + static_cast<std::ptrdiff_t>(count));
    first.offsets.assign(windows.offsets.begin(), windows.offsets.begin() + static_cast<std::ptrdiff_t>(count));
    first.textTokens = count * length;
    first.fingerprint = hashOf(fmt::format("first {} of {}", count, windows.fingerprint));
    return first;
}

/// Everything but rank and linear that decides what a linear becomes.
std::string familyFingerprint(const Recipe& recipe, const SensitivitySources& sources)
{
    Recipe same = recipe;
    const Recipe usual;
    same.keptRatio = 1.0;
    same.allocation = usual.allocation;
    same.sequential = SequentialMode::Dense;
    same.ranks.clear();
    same.only.clear();
    same.distillation.reset();
    same.recovery.reset();
    return recipeFingerprint(same, sources.modelFingerprint, sources.calibrationFingerprint);
}

/// The nats that a linear costs, by rank.
using Sensitivities = std::map<std::size_t, double>;

std::vector<double> curveOf(const Sensitivities& measured, std::size_t fullRank)
{
    std::vector<double> curve(fullRank + 1);
    auto next = measured.begin();
    double loss = measured.empty() ? 0.0 : next->second;
    for (std::size_t rank = 0; rank < fullRank; ++rank) {
        if (next != measured.end() && next->first == rank)
            loss = (next++)->second;
        curve[rank] = loss;
    }
    return curve;
}

} // namespace

void measureSensitivities(const RunJob& job, Compression& compression, const SensitivitySources& sources, Store& store,
                          const PassOptions& options, std::vector<AllocationItem>& items)
{
    const TokenWindows windows = firstWindows(sources.calibration);
    const RankCosts costs(storedStructure(job.recipe));
    const std::string family = familyFingerprint(job.recipe, sources);
    const auto key = [&family](const LinearInfo& linear, std::size_t rank) {
        Hasher hasher;
        hasher.update(std::string_view(family)).update(std::string_view(linear.name)).update(rank);
        return hasher.hex();
    };
    const double dense =
        densePerplexity(job.model, job.device, windows, store, sources.modelFingerprint, options, job.context)
            .perplexity;

    std::vector<Sensitivities> measured(items.size());
    std::vector<std::vector<std::size_t>> open(items.size()); // ranks
    std::size_t total = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].rank)
            continue;
        for (int tenths = strsLowestTenths; tenths < 10; ++tenths) {
            const std::size_t rank = costs.rankOfShare(items[i].shape, tenths / 10.0);
            if (costs.isDense(items[i].shape, rank) || measured[i].contains(rank))
                continue;
            const auto known = store.cachedPerplexity(key(*job.linears[i], rank), windows.fingerprint);
            measured[i][rank] = known ? std::log(known->perplexity / dense) : 0.0;
            if (!known) {
                open[i].push_back(rank);
                ++total;
            }
        }
    }

    if (total > 0) {
        const auto itemOf = [&job](const LinearInfo& linear) {
            return static_cast<std::size_t>(std::ranges::find(job.linears, &linear) - job.linears.begin());
        };
        std::size_t done = 0;
        evaluateProbes(
            job.model, job.device, windows, options, job.context,
            [&](const LinearInfo& linear) {
                const std::size_t item = itemOf(linear);
                return item < items.size() && !open[item].empty() ? compression.weightsAt(item, open[item])
                                                                  : std::vector<LinearWeights>();
            },
            [&](const LinearInfo& linear, std::size_t form, const PerplexityResult& result) {
                const std::size_t item = itemOf(linear);
                const std::size_t rank = open[item][form];
                store.cachePerplexity(key(linear, rank), windows.fingerprint, result);
                measured[item][rank] = std::log(result.perplexity / dense);
                job.context.report("sensitivity", linear.name, ++done, total);
            });
    }
    for (std::size_t i = 0; i < items.size(); ++i)
        if (!items[i].rank)
            items[i].setLossInNats(curveOf(measured[i], items[i].shape.fullRank()));
}

void measureBlockInfluence(const RunJob& job, const TokenWindows& calibration, const PassOptions& options,
                           std::vector<AllocationItem>& items)
{
    const std::vector<double> influence =
        evaluateBlockInfluence(job.model, job.device, firstWindows(calibration), options, job.context);
    for (AllocationItem& item : items)
        item.blockInfluence = influence[item.block];
}

} // namespace rankwright
