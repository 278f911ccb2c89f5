#pragma once

#include "core/experiment/runner.h"

#include <filesystem>

namespace rankwright {

/// The user's store: dataHome()/experiments.sqlite.
std::filesystem::path defaultStoreFile();
/// Where calibration statistics are kept for every front end: cacheHome()/calibration.
RunPlaces defaultRunPlaces();

} // namespace rankwright
