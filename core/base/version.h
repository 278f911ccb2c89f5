#pragma once

#include <string_view>

namespace rankwright {

/// Version of the program, e.g. "0.1.0"; part of every fingerprint.
std::string_view version();

} // namespace rankwright
