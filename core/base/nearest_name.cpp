#include "core/base/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <fmt/ranges.h>
#include <limits>
#include <numeric>
#include <vector>

namespace rankwright {

namespace {

/// Levenshtein distance, or `limit` if it is not smaller.
std::size_t editDistance(std::string_view a, std::string_view b, std::size_t limit)
{
    if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) >= limit)
        return limit;
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
        }
        if (*std::min_element(row.begin(), row.end()) >= limit)
            return limit;
    }
    return std::min(row.back(), limit);
}

} // namespace

std::string nearestName(std::string_view wanted, std::span<const std::string_view> names)
{
    std::string_view best;
    std::size_t least = std::numeric_limits<std::size_t>::max();
    for (const std::string_view name : names) {
        const std::size_t distance = editDistance(wanted, name, least);
        if (distance < least) {
            least = distance;
            best = name;
        }
    }
    return std::string(best);
}

std::string likelyName(std::string_view wanted, std::span<const std::string_view> names)
{
    std::string nearest = nearestName(wanted, names);
    const std::size_t longer = std::max(wanted.size(), nearest.size());
    const std::size_t most = longer < 4 ? 1 : std::max<std::size_t>(2, longer / 3);
    return editDistance(wanted, nearest, most + 1) <= most ? nearest : std::string();
}

std::string knownNames(std::string_view wanted, std::span<const std::string_view> names)
{
    const std::string likely = likelyName(wanted, names);
    return fmt::format("{} {}",
                       likely.empty() ? std::string("; known:") : fmt::format(", did you mean \"{}\"? Known:", likely),
                       fmt::join(names, ", "));
}

} // namespace rankwright
