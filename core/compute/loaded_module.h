#pragma once

#include "core/compute/device_module.h"

#include <filesystem>
#include <string>

namespace rankwright {

/// A shared library with the functions of device_module.h, never unloaded.
class LoadedModule
{
public:
    /// Throws Error(Unsupported) naming the file if it cannot be loaded or is of another ABI version. The extent of
    /// its segments is checked first, as the loader crashes on a truncated file.
    explicit LoadedModule(const std::filesystem::path& file);

    const std::filesystem::path& file() const { return m_file; }
    std::string description() const;
    /// Number of devices. Throws Error(Unsupported) with the module's own words.
    int count() const;
    /// Throws Error(Unsupported).
    DeviceInfo describe(int index) const;
    /// Throws Error(Unsupported).
    std::shared_ptr<const Device> create(int index, std::size_t threads) const;

private:
    template <typename Function>
    Function* symbol(void* handle, const char* name) const;
    [[noreturn]] void fail(const std::string& what) const;

    std::filesystem::path m_file;
    RankwrightDeviceModuleDescription* m_description = nullptr;
    RankwrightDeviceCount* m_count = nullptr;
    RankwrightDeviceDescribe* m_describe = nullptr;
    RankwrightDeviceCreate* m_create = nullptr;
    RankwrightDeviceLastError* m_lastError = nullptr;
};

} // namespace rankwright
