#include "core/allocation/allocators.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <numbers>
#include <tuple>

namespace rankwright {

namespace {

/// No linear gives up more than this share of its parameters while others still can (methods 25.3).
constexpr double mostRemoved = 0.9;
constexpr int bisections = 60;
/// MoDeGPT's epsilon, as the public reproduction has it, and the most a block gives up.
constexpr double influenceTemperature = 0.15;
constexpr double mostRemovedOfBlock = 0.8;

/// Parameters within a share of a whole; shares such as 0.7 are not exact in binary.
std::size_t budgetOf(double share, std::size_t parameters)
{
    return static_cast<std::size_t>(std::floor(share * static_cast<double>(parameters) * (1.0 + 1e-12) + 1e-9));
}

std::size_t rankOfShare(const AllocationTask& task, std::size_t item, double share)
{
    return task.costs.rankOfShare(task.items[item].shape, share);
}

double costOf(const AllocationTask& task, const std::vector<std::size_t>& ranks)
{
    double sum = 0.0;
    for (std::size_t k = 0; k < task.open.size(); ++k)
        sum += static_cast<double>(task.costs.parameters(task.items[task.open[k]].shape, ranks[k]));
    return sum;
}

bool fits(const AllocationTask& task, const std::vector<std::size_t>& ranks)
{
    return costOf(task, ranks) <= task.budget * (1.0 + 1e-12) + 1e-9;
}

void take(const AllocationTask& task, const std::vector<std::size_t>& chosen, std::vector<std::size_t>& ranks)
{
    for (std::size_t k = 0; k < task.open.size(); ++k)
        ranks[task.open[k]] = chosen[k];
}

/// Gives each open item its share; where least ranks make that too dear, all shares shrink alike.
void raiseByShares(const AllocationTask& task, const std::vector<double>& shares, std::vector<std::size_t>& ranks)
{
    const auto scaled = [&](double scale) {
        std::vector<std::size_t> chosen;
        for (std::size_t k = 0; k < task.open.size(); ++k)
            chosen.push_back(rankOfShare(task, task.open[k], scale * shares[k]));
        return chosen;
    };
    std::vector<std::size_t> chosen = scaled(1.0);
    if (!fits(task, chosen)) {
        double low = 0.0;
        double high = 1.0;
        for (int i = 0; i < bisections; ++i) {
            const double middle = 0.5 * (low + high);
            (fits(task, scaled(middle)) ? low : high) = middle;
        }
        chosen = scaled(low);
    }
    take(task, chosen, ranks);
}

double parametersOf(const AllocationTask& task, const std::vector<std::size_t>& items)
{
    double sum = 0.0;
    for (const std::size_t i : items)
        sum += static_cast<double>(task.items[i].shape.parameters());
    return sum;
}

double keptShare(const AllocationTask& task)
{
    const double all = parametersOf(task, task.open);
    return all > 0.0 ? std::clamp(task.budget / all, 0.0, 1.0) : 1.0;
}

/// Removed shares min(factor * value, most) with the factor at which items of these sizes give up `removed` of their
/// parameters together; a plain mean but for the clamp.
std::vector<double> removedShares(const std::vector<double>& sizes, const std::vector<double>& values, double removed,
                                  double most)
{
    const auto given = [&](double factor) {
        double sum = 0.0;
        for (std::size_t j = 0; j < sizes.size(); ++j)
            sum += sizes[j] * (std::min(factor * values[j], most) - removed);
        return sum;
    };
    double low = 0.0;
    double high = 1.0;
    while (given(high) < 0.0 && high < 1e12)
        high *= 2.0;
    for (int i = 0; i < bisections; ++i) {
        const double factor = 0.5 * (low + high);
        (given(factor) < 0.0 ? low : high) = factor;
    }
    std::vector<double> shares;
    shares.reserve(values.size());
    for (const double value : values)
        shares.push_back(std::min(high * value, most));
    return shares;
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

} // namespace

void raiseUniformly(const AllocationTask& task, std::vector<std::size_t>& ranks)
{
    std::vector<std::size_t> open = task.open;
    double budget = task.budget;
    double share = 0.0;
    for (bool changed = true; changed && !open.empty();) {
        share = std::min(budget / parametersOf(task, open), 1.0);
        const auto tooSmall = std::stable_partition(open.begin(), open.end(), [&](std::size_t i) {
            return task.costs.parameters(task.items[i].shape, 1) <= budgetOf(share, task.items[i].shape.parameters());
        });
        changed = tooSmall != open.end();
        for (auto i = tooSmall; i != open.end(); ++i)
            budget -= static_cast<double>(task.costs.parameters(task.items[*i].shape, ranks[*i]));
        open.erase(tooSmall, open.end());
    }
    for (const std::size_t i : open)
        ranks[i] = rankOfShare(task, i, share);
}

void raiseByType(const AllocationTask& task, std::vector<std::size_t>& ranks)
{
    const double removed = 1.0 - keptShare(task);
    const double most = std::max(mostRemoved, removed);
    std::map<std::string, std::vector<std::size_t>> groups; // of positions in `open`
    for (std::size_t k = 0; k < task.open.size(); ++k)
        groups[task.items[task.open[k]].role].push_back(k);
    std::vector<double> shares(task.open.size());
    for (const auto& group : groups) {
        const std::vector<std::size_t>& members = group.second;
        std::vector<double> losses;
        std::vector<double> sizes;
        for (const std::size_t k : members) {
            const AllocationItem& item = task.items[task.open[k]];
            losses.push_back(std::max(item.loss[rankOfShare(task, task.open[k], 1.0 - removed)], 0.0));
            sizes.push_back(static_cast<double>(item.shape.parameters()));
        }
        const double middle = median(losses);
        std::vector<double> values;
        values.reserve(losses.size());
        for (const double loss : losses)
            values.push_back(middle > 0.0 ? 1.0 / std::log(std::numbers::e + loss / middle) : 1.0);
        const std::vector<double> given = removedShares(sizes, values, removed, most);
        for (std::size_t j = 0; j < members.size(); ++j)
            shares[members[j]] = 1.0 - given[j];
    }
    raiseByShares(task, shares, ranks);
}

void raiseBySpectrum(const AllocationTask& task, std::vector<std::size_t>& ranks)
{
    for (const std::size_t i : task.open) {
        const AllocationItem& item = task.items[i];
        if (item.singularValues.size() != item.shape.fullRank() ||
            !std::all_of(item.singularValues.begin(), item.singularValues.end(),
                         [](double value) { return std::isfinite(value); }))
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("allocation by singular values needs {} of a {}x{} linear, not {}",
                                    item.shape.fullRank(), item.shape.rows, item.shape.columns,
                                    item.singularValues.size()),
                        {.tensor = item.name});
    }
    const auto counted = [&](double threshold) {
        std::vector<std::size_t> chosen;
        for (const std::size_t i : task.open) {
            const AllocationItem& item = task.items[i];
            const std::vector<double>& values = item.singularValues;
            const double least = values.back();
            const double range = values.front() - least;
            const auto below = std::partition_point(values.begin(), values.end(), [&](double value) {
                return range > 0.0 ? (value - least) / range >= threshold : threshold <= 0.0;
            });
            const auto count = static_cast<std::size_t>(below - values.begin());
            chosen.push_back(task.costs.isDense(item.shape, 1) ? item.shape.fullRank()
                                                               : std::max<std::size_t>(count, 1));
        }
        return chosen;
    };
    std::vector<std::size_t> chosen = counted(0.0);
    if (!fits(task, chosen)) {
        double low = 0.0;
        double high = 2.0;
        for (int i = 0; i < bisections; ++i) {
            const double middle = 0.5 * (low + high);
            (fits(task, counted(middle)) ? high : low) = middle;
        }
        chosen = counted(high);
    }
    take(task, chosen, ranks);
}

void raiseByThreshold(const AllocationTask& task, int lowestTenths, std::vector<std::size_t>& ranks)
{
    // One ratio of one linear, and what taking it costs. Ratio 1 is the linear itself.
    struct Entry
    {
        double sensitivity;
        std::size_t position;
        int tenths;
    };
    constexpr int dense = 10;
    std::vector<Entry> entries;
    std::vector<std::array<std::size_t, dense + 1>> rankAt(task.open.size());
    for (std::size_t k = 0; k < task.open.size(); ++k) {
        const AllocationItem& item = task.items[task.open[k]];
        for (int tenths = lowestTenths; tenths <= dense; ++tenths) {
            rankAt[k][static_cast<std::size_t>(tenths)] = rankOfShare(task, task.open[k], tenths / 10.0);
            const double loss = item.weight * item.loss[rankAt[k][static_cast<std::size_t>(tenths)]];
            entries.push_back({tenths == dense ? -std::numeric_limits<double>::infinity() : loss, k, tenths});
        }
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::tie(b.sensitivity, a.tenths, a.position) < std::tie(a.sensitivity, b.tenths, b.position);
    });
    // A plain scan for the last cut within the budget: behind the cut, each linear takes its smallest ratio.
    std::vector<std::vector<int>> left(task.open.size());
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
        left[entry->position].push_back(entry->tenths);
    std::vector<int> smallest(task.open.size());
    std::vector<std::size_t> chosen(task.open.size());
    const auto update = [&](std::size_t k) {
        smallest[k] = *std::min_element(left[k].begin(), left[k].end());
        chosen[k] = rankAt[k][static_cast<std::size_t>(smallest[k])];
    };
    for (std::size_t k = 0; k < left.size(); ++k)
        update(k);
    if (!fits(task, chosen)) {
        raiseByShares(task, std::vector<double>(task.open.size(), keptShare(task)), ranks);
        return;
    }
    double cost = costOf(task, chosen);
    for (const Entry& entry : entries) {
        const std::size_t k = entry.position;
        if (left[k].size() == 1)
            continue;
        const LinearShape shape = task.items[task.open[k]].shape;
        const std::size_t before = chosen[k];
        left[k].pop_back();
        update(k);
        cost += static_cast<double>(task.costs.parameters(shape, chosen[k])) -
                static_cast<double>(task.costs.parameters(shape, before));
        if (cost > task.budget * (1.0 + 1e-12) + 1e-9) {
            chosen[k] = before;
            break;
        }
    }
    take(task, chosen, ranks);
}

void raiseByBlockInfluence(const AllocationTask& task, std::vector<std::size_t>& ranks)
{
    const double removed = 1.0 - keptShare(task);
    double least = std::numeric_limits<double>::infinity();
    for (const std::size_t i : task.open) {
        const AllocationItem& item = task.items[i];
        if (!std::isfinite(item.blockInfluence))
            throw Error(ErrorKind::InvalidArgument,
                        "allocation modegpt needs the influence of its block; a run measures it",
                        {.tensor = item.name});
        least = std::min(least, item.blockInfluence);
    }
    std::vector<double> sizes;
    std::vector<double> values;
    for (const std::size_t i : task.open) {
        sizes.push_back(static_cast<double>(task.items[i].shape.parameters()));
        values.push_back(std::exp((least - task.items[i].blockInfluence) / influenceTemperature));
    }
    std::vector<double> shares;
    for (const double share : removedShares(sizes, values, removed, std::max(mostRemovedOfBlock, removed)))
        shares.push_back(1.0 - share);
    raiseByShares(task, shares, ranks);
}

void raiseLastBlocks(const AllocationTask& task, std::vector<std::size_t>& ranks)
{
    const double removed = 1.0 - keptShare(task);
    std::map<std::size_t, double> blocks;
    for (const std::size_t i : task.open)
        blocks[task.items[i].block] += static_cast<double>(task.items[i].shape.parameters());
    const double wanted = removed * parametersOf(task, task.open);
    double paying = 0.0;
    std::size_t count = 0;
    std::size_t first = 0;
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
        if (2 * count >= blocks.size() && mostRemoved * paying >= wanted)
            break;
        paying += block->second;
        first = block->first;
        ++count;
    }
    std::vector<double> shares;
    for (const std::size_t i : task.open)
        shares.push_back(task.items[i].block < first ? 1.0 : 1.0 - wanted / paying);
    raiseByShares(task, shares, ranks);
}

void lowerBlockByBlock(const AllocationTask& task, bool fromLast, std::vector<std::size_t>& ranks)
{
    std::map<std::size_t, std::vector<std::size_t>> blocks; // of positions in `open`
    for (std::size_t k = 0; k < task.open.size(); ++k)
        blocks[task.items[task.open[k]].block].push_back(k);
    std::vector<std::size_t> order;
    order.reserve(blocks.size());
    for (const auto& [block, members] : blocks)
        order.push_back(block);
    if (fromLast)
        std::ranges::reverse(order);
    std::vector<std::size_t> chosen;
    for (const std::size_t item : task.open)
        chosen.push_back(task.items[item].shape.fullRank());
    double cost = costOf(task, chosen);
    constexpr int parts = 16;
    constexpr int half = parts / 2;
    for (const auto& [first, last] : {std::pair(parts - 1, half), std::pair(half - 1, 0)})
        for (const std::size_t block : order)
            for (int part = first; part >= last; --part)
                for (const std::size_t k : blocks[block]) {
                    if (cost <= task.budget * (1.0 + 1e-12) + 1e-9) {
                        take(task, chosen, ranks);
                        return;
                    }
                    const LinearShape shape = task.items[task.open[k]].shape;
                    const std::size_t lower = rankOfShare(task, task.open[k], static_cast<double>(part) / parts);
                    cost += static_cast<double>(task.costs.parameters(shape, lower)) -
                            static_cast<double>(task.costs.parameters(shape, chosen[k]));
                    chosen[k] = lower;
                }
    take(task, chosen, ranks);
}

} // namespace rankwright
