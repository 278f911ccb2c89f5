#pragma once

#include <span>
#include <string>
#include <string_view>

namespace rankwright {

/// The name with the fewest single-character edits to `wanted` (the first of equals), for "did you mean"; empty if
/// there are no names.
std::string nearestName(std::string_view wanted, std::span<const std::string_view> names);

} // namespace rankwright
