#include "core/base/paths.h"

#include "core/base/error.h"

#include <cstdlib>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

namespace rankwright {

namespace {

std::filesystem::path fromEnvironment(const char* variable, const char* underHome)
{
    // XDG: a relative path in the variable is invalid and ignored.
    if (const char* value = std::getenv(variable); value != nullptr && std::filesystem::path(value).is_absolute())
        return std::filesystem::path(value) / "rankwright";
    if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
        return std::filesystem::path(home) / underHome / "rankwright";
    const passwd* user = ::getpwuid(::geteuid());
    if (user != nullptr && user->pw_dir != nullptr && *user->pw_dir == '/')
        return std::filesystem::path(user->pw_dir) / underHome / "rankwright";
    throw Error(ErrorKind::NotFound,
                fmt::format("neither {} nor HOME is set, and this user has no home folder; set one of them", variable));
}

} // namespace

std::filesystem::path dataHome()
{
    return fromEnvironment("XDG_DATA_HOME", ".local/share");
}

std::filesystem::path cacheHome()
{
    return fromEnvironment("XDG_CACHE_HOME", ".cache");
}

std::filesystem::path resourcesFolder()
{
    if (const char* value = std::getenv("RANKWRIGHT_RESOURCES"); value != nullptr && *value != '\0')
        return value;
    std::error_code failure;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
    for (auto folder = program.parent_path(); !folder.empty() && folder != folder.root_path();
         folder = folder.parent_path()) {
        for (const char* candidate : {"resources", "share/rankwright/resources"}) {
            if (std::filesystem::exists(folder / candidate / "python", failure))
                return folder / candidate;
        }
    }
    throw Error(ErrorKind::NotFound, "the resources folder was not found; set RANKWRIGHT_RESOURCES to it");
}

bool isPresent(const std::filesystem::path& path)
{
    std::error_code failure;
    const bool present = std::filesystem::exists(path, failure);
    if (failure)
        throw Error(ErrorKind::Io, "cannot open: " + failure.message(), {.file = path});
    return present;
}

} // namespace rankwright
