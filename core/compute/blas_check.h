#pragma once

#include "core/compute/device.h"

#include <functional>
#include <optional>
#include <string>

namespace rankwright {

/// Compares products of several sizes and transposes, second moments and an eigendecomposition of `device` with plain
/// loops. Nothing if all agree, else what was wrong. Products are of small whole numbers, so they must be exact.
std::optional<std::string> findDeviceFault(const Device& device);

/// Checks the BLAS of the CPU device (some OpenBLAS builds are wrong on newer processors) in less than 50 ms and
/// returns its description. On a mismatch throws Error(Numeric) that says how to pick another kernel
/// (OPENBLAS_CORETYPE). Call it before other threads compute: it sets BlasThreads.
std::string checkBlas();

/// The OPENBLAS_CORETYPE to try where the kernel in use is wrong: the fastest of Haswell, Nehalem, Prescott that this
/// processor can run and that was not tried yet (RANKWRIGHT_BLAS_TRIED, a list with commas). Nothing if none is left.
std::optional<std::string> suggestedCoreType();

/// For the first line of main(): if the BLAS is wrong, starts this program again with another kernel, as OpenBLAS
/// chooses its kernel only when it is loaded. Returns where the BLAS is right; throws Error(Numeric) if every kernel
/// was tried. `findFault` is replaced in tests only.
void ensureCorrectBlas(char** argv, const std::function<std::optional<std::string>()>& findFault = {});

} // namespace rankwright
