#include "core/experiment/places.h"

#include "core/base/paths.h"

namespace rankwright {

std::filesystem::path defaultStoreFile()
{
    return dataHome() / "experiments.sqlite";
}

RunPlaces defaultRunPlaces()
{
    return {.cache = cacheHome() / "calibration"};
}

} // namespace rankwright
