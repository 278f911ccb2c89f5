#pragma once

#include "core/base/progress.h"

#include <cstddef>

namespace rankwright {

/// The context of one of `count` equal parts of a task: what it reports counts as the part from `index` on, so that
/// stages of the parts go from nothing to all once.
TaskContext partOf(const TaskContext& whole, std::size_t index, std::size_t count);

} // namespace rankwright
