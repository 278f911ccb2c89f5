#pragma once

#include "core/compute/device.h"

#include <cstddef>
#include <cstdint>

// What a device module offers: a shared library librankwright_device_NAME.so that exports the functions below with C
// linkage. It is looked for in the folder RANKWRIGHT_DEVICE_MODULES if that is set, else in ../lib/rankwright beside
// the running program and in the program's own folder. It is loaded once and never unloaded. No function may throw.

/// Changes with every change of this file or of the layout of Device. A module of another version is left out.
#define RANKWRIGHT_DEVICE_ABI 2U

extern "C" {

/// One device; texts end with a zero byte.
struct RankwrightDeviceDescription
{
    char id[32];       ///< unique, e.g. "cuda:0"
    char name[128];    ///< the board
    char library[128]; ///< library and version
    std::uint64_t memoryTotal;
    std::uint64_t memoryFree;
};

/// RANKWRIGHT_DEVICE_ABI of the module's build.
using RankwrightDeviceAbi = unsigned();
/// One line about the module, e.g. whether it found a driver.
using RankwrightDeviceModuleDescription = const char*();
/// Number of devices, negative on failure.
using RankwrightDeviceCount = int();
/// Fills the description of device `index`; 0 on success.
using RankwrightDeviceDescribe = int(int index, RankwrightDeviceDescription* description);
/// A new device that the caller deletes, or null.
using RankwrightDeviceCreate = const rankwright::Device*(int index, std::size_t threads);
/// Why the last call of this thread failed.
using RankwrightDeviceLastError = const char*();

RankwrightDeviceAbi rankwright_device_abi;
RankwrightDeviceModuleDescription rankwright_device_module_description;
RankwrightDeviceCount rankwright_device_count;
RankwrightDeviceDescribe rankwright_device_describe;
RankwrightDeviceCreate rankwright_device_create;
RankwrightDeviceLastError rankwright_device_last_error;
}
