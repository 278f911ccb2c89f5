#include "core/compute/device_module.h"

#include <cuda_runtime_api.h>

#include <string>

// The CUDA runtime is linked statically and loads the driver on its first call, so this module also loads on a machine
// without one.

unsigned rankwright_device_abi()
{
    return RANKWRIGHT_DEVICE_ABI;
}

const char* rankwright_device_module_description()
{
    static const std::string description = [] {
        int driver = 0;
        int boards = 0;
        if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
            return std::string("CUDA: no driver found");
        const std::string version = std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10);
        const cudaError_t status = cudaGetDeviceCount(&boards);
        if (status != cudaSuccess)
            return "CUDA: driver " + version + ", " + cudaGetErrorString(status);
        return "CUDA: driver " + version + ", " + std::to_string(boards) + " boards, none offered by this version";
    }();
    return description.c_str();
}

int rankwright_device_count()
{
    return 0;
}

int rankwright_device_describe(int, RankwrightDeviceDescription*)
{
    return 1;
}

const rankwright::Device* rankwright_device_create(int, std::size_t)
{
    return nullptr;
}

const char* rankwright_device_last_error()
{
    return "this version offers no CUDA device";
}
