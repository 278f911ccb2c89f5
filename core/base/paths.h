#pragma once

#include <filesystem>

namespace rankwright {

/// XDG_DATA_HOME/rankwright, by default ~/.local/share/rankwright: the store and the runs. Both throw Error(NotFound)
/// for a user without a home folder.
std::filesystem::path dataHome();
/// XDG_CACHE_HOME/rankwright, by default ~/.cache/rankwright: what can be computed again.
std::filesystem::path cacheHome();
/// The folder of the project's resources (demo model, Python files of exports): RANKWRIGHT_RESOURCES if set, else found
/// from the running program (source tree or installation). Throws Error(NotFound).
std::filesystem::path resourcesFolder();

/// Whether something stands at this path. Throws Error(Io) naming it where the system cannot tell: links in a loop, a
/// folder that may not be entered.
bool isPresent(const std::filesystem::path& path);

} // namespace rankwright
