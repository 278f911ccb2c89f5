#pragma once

#include "core/calibration/similarity.h"
#include "core/experiment/recipe.h"

#include <filesystem>
#include <vector>

namespace rankwright::ui {

/// How alike the inputs of the linears are on the calibration texts of a recipe and on other texts.
struct SimilarityStudy
{
    Recipe recipe; ///< its model, calibration texts and windows
    std::vector<std::filesystem::path> texts;
    std::size_t directions = 0;                   ///< principal directions that are compared
    std::vector<std::vector<TapSimilarity>> taps; ///< by text and tap index
};

} // namespace rankwright::ui
