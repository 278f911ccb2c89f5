#include "core/compute/cpu_info.h"

#include <algorithm>
#include <cblas.h>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>

namespace rankwright {

namespace {

/// What follows the colon in the first line of a file of /proc that starts with `key`.
std::optional<std::string> procField(const char* file, std::string_view key)
{
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        const std::size_t colon = line.find(':');
        if (!line.starts_with(key) || colon == std::string::npos)
            continue;
        const std::size_t first = line.find_first_not_of(" \t", colon + 1);
        return first == std::string::npos ? std::string() : line.substr(first);
    }
    return std::nullopt;
}

std::optional<std::size_t> leadingNumber(std::string_view text)
{
    std::size_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::size_t memoryField(std::string_view key)
{
    const auto field = procField("/proc/meminfo", key);
    return field ? leadingNumber(*field).value_or(0) * 1024 : 0;
}

/// The limit of the control group, where there is one.
std::optional<std::size_t> groupMemoryLimit()
{
    std::ifstream stream("/sys/fs/cgroup/memory.max");
    std::string line;
    return std::getline(stream, line) ? leadingNumber(line) : std::nullopt;
}

} // namespace

std::string blasName()
{
    const std::string config = openblas_get_config();
    const std::size_t product = config.find(' ');
    const std::size_t version = product == std::string::npos ? product : config.find(' ', product + 1);
    return config.substr(0, version) + " " + openblas_get_corename();
}

DeviceInfo cpuInfo(std::size_t threads)
{
    DeviceInfo info;
    info.id = "cpu";
    info.name = procField("/proc/cpuinfo", "model name").value_or("processor");
    info.library = blasName();
    info.threads = threads;
    info.memoryTotal = memoryField("MemTotal");
    if (const auto limit = groupMemoryLimit())
        info.memoryTotal = std::min(info.memoryTotal, *limit);
    info.memoryFree = std::min(memoryField("MemAvailable"), info.memoryTotal);
    return info;
}

} // namespace rankwright
