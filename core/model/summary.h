#pragma once

#include "core/model/model.h"

#include <cstddef>
#include <string>

namespace rankwright {

/// Bytes of all tensors as stored.
std::size_t weightBytes(const Model& model);

/// "F32", or "Q4_1, F32" with the type of most bytes first.
std::string weightTypes(const Model& model);

} // namespace rankwright
