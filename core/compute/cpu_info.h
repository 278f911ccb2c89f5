#pragma once

#include "core/compute/device.h"

#include <string>

namespace rankwright {

/// Processor, BLAS and memory of this machine.
DeviceInfo cpuInfo(std::size_t threads);

/// The BLAS in use, e.g. "OpenBLAS 0.3.21 Zen".
std::string blasName();

} // namespace rankwright
