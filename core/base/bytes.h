#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rankwright {

/// Reads "1GiB", "512MiB", "1.5 GB", "1000000" as bytes. Throws Error(InvalidArgument).
std::size_t parseBytes(std::string_view text);
/// "1.25 GiB", "640 KiB", "12 B".
std::string formatBytes(std::size_t bytes);
/// Physical memory of this machine (respecting a cgroup limit), bytes.
std::size_t physicalMemory();
/// Peak resident memory of this process so far, bytes.
std::size_t peakResidentMemory();

/// a * b, or Error(Corrupt) naming `what` if that does not fit.
std::size_t checkedProduct(std::size_t a, std::size_t b, std::string_view what);

} // namespace rankwright
