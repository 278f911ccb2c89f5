#pragma once

#include "core/compute/device.h"

#include <memory>
#include <stop_token>

namespace rankwright {

/// The device itself, but once a stop is requested every operation throws Error(Cancelled) instead of starting: what
/// computes with it ends after the operation at hand and needs to know nothing of stops.
std::shared_ptr<const Device> makeStoppableDevice(std::shared_ptr<const Device> device, std::stop_token stop);

} // namespace rankwright
