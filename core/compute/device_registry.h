#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rankwright {

/// A device module that could be loaded.
struct DeviceModuleInfo
{
    std::filesystem::path file;
    std::string description;
    int devices = 0;
};

/// The usable modules (device_module.h), in order of their file names.
std::vector<DeviceModuleInfo> listDeviceModules();

} // namespace rankwright
