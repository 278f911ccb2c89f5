#pragma once

#include <span>
#include <string>
#include <string_view>

namespace rankwright {

/// The name with the fewest single-character edits to `wanted` (the first of equals), empty if there are no names.
std::string nearestName(std::string_view wanted, std::span<const std::string_view> names);

/// The nearest name where it can be what was meant: at most a third of the longer name's characters apart (two for
/// names of four to eight characters, one for shorter ones); else empty.
std::string likelyName(std::string_view wanted, std::span<const std::string_view> names);

/// What follows an unknown name in a message: `, did you mean "factors"? Known: dense, factors`, without the question
/// where no name is likely.
std::string knownNames(std::string_view wanted, std::span<const std::string_view> names);

} // namespace rankwright
