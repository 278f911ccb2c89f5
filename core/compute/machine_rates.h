#pragma once

#include "core/compute/device.h"

namespace rankwright {

/// Operations per second of products of 256 x 256 matrices, of all workers together.
struct MachineRates
{
    double floats = 0.0;
    double doubles = 0.0;
};

/// Measured with `threads` one-thread workers at once, as many as there are processors at most (more do not compute
/// faster), in about 12 ms (more where processors are busy), and remembered for the device and number of workers. Best
/// called first while nothing else computes; short disturbances do not count.
MachineRates measuredRates(const Device& device, std::size_t threads);

} // namespace rankwright
