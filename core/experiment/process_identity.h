#pragma once

#include <string>

namespace rankwright {

/// Tells this process from every other one, also from a later one with the same number: boot, process namespace,
/// process id and start time.
std::string processIdentity();

/// False only if the process of that identity is certainly gone. A process of another namespace (a container) counts as
/// alive because it cannot be seen from here.
bool processMayLive(const std::string& identity);

} // namespace rankwright
