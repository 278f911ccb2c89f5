#include "core/base/bytes.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace rankwright {

std::size_t parseBytes(std::string_view text)
{
    const auto wrong = [&] {
        return Error(ErrorKind::InvalidArgument,
                     fmt::format("\"{}\" is not a size; write for example 512MiB or 1.5GiB", text));
    };
    double value = 0.0;
    std::size_t used = 0;
    try {
        value = std::stod(std::string(text), &used);
    } catch (const std::exception&) {
        throw wrong();
    }
    std::string_view unit = text.substr(used);
    while (!unit.empty() && unit.front() == ' ')
        unit.remove_prefix(1);
    constexpr std::array<std::pair<std::string_view, double>, 10> units = {{{"", 1.0},
                                                                            {"B", 1.0},
                                                                            {"KiB", 1024.0},
                                                                            {"MiB", 1024.0 * 1024},
                                                                            {"GiB", 1024.0 * 1024 * 1024},
                                                                            {"TiB", 1024.0 * 1024 * 1024 * 1024},
                                                                            {"KB", 1e3},
                                                                            {"MB", 1e6},
                                                                            {"GB", 1e9},
                                                                            {"TB", 1e12}}};
    const auto* found = std::find_if(units.begin(), units.end(), [&](const auto& u) { return u.first == unit; });
    if (found == units.end() || !std::isfinite(value) || value <= 0.0 || value * found->second > 9e18)
        throw wrong();
    return static_cast<std::size_t>(value * found->second);
}

std::string formatBytes(std::size_t bytes)
{
    constexpr std::array<const char*, 5> names = {"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024.0 && unit + 1 < names.size()) {
        value /= 1024.0;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.4g} {}", value, names[unit]);
}

std::size_t physicalMemory()
{
    std::size_t total =
        static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::ifstream limit("/sys/fs/cgroup/memory.max");
    std::size_t allowed = 0;
    if (limit >> allowed && allowed > 0)
        total = std::min(total, allowed);
    return total;
}

std::size_t peakResidentMemory()
{
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

std::size_t checkedProduct(std::size_t a, std::size_t b, std::string_view what)
{
    std::size_t product = 0;
    if (__builtin_mul_overflow(a, b, &product))
        throw Error(ErrorKind::Corrupt, fmt::format("{}: {} x {} overflows", what, a, b));
    return product;
}

} // namespace rankwright
