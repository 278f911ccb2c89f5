#pragma once

#include "core/compute/device.h"

namespace rankwright {

/// Device::symmetricEigen through LAPACK: dsytrd, dstedc and a blocked back-transformation of the wanted vectors only.
SymmetricEigen symmetricEigenLapack(Matrix<double> A, std::size_t wanted);

} // namespace rankwright
