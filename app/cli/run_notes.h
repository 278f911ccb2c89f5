#pragma once

#include "core/base/progress.h"

#include <string>
#include <utility>
#include <vector>

namespace rankwright::cli {

/// What of a run's events its report says in lines of their own (names and values): trainings that diverged or gained
/// nothing, and a model that became larger.
std::vector<std::pair<std::string, std::string>> runNotes(const std::vector<NumericEvent>& events);

} // namespace rankwright::cli
