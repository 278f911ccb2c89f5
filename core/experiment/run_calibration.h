#pragma once

#include "core/experiment/recipe.h"
#include "core/model/model.h"

#include <string>
#include <vector>

namespace rankwright {

/// The calibration texts of a recipe, tokenised, and the statistics of them.
class RunCalibration
{
public:
    /// Of a recipe with a calibration text. Throws as makeWindows() and requireWindows().
    RunCalibration(const Recipe& recipe, const Model& model, const TaskContext& context);

    /// Of the first text; sequential modes, which validateRecipe() allows one text only, stream them.
    const TokenWindows& windows() const { return m_windows.front(); }
    /// Windows of all texts.
    std::size_t windowCount() const;
    /// calibrationFingerprint(), of a mixture where there are several texts.
    std::string fingerprint() const;
    /// The same of the gradients: curvatureFingerprint().
    std::string gradientsFingerprint() const;
    /// Throws as calibrate() and mixSets().
    CalibrationSet moments(const Device& device, const std::filesystem::path& cache, const PassOptions& options,
                           const TaskContext& context) const;
    /// Throws as calibrateCurvature() and mixSets().
    CalibrationSet gradients(const Device& device, const std::filesystem::path& cache, const PassOptions& options,
                             const TaskContext& context) const;

private:
    template <typename Make>
    CalibrationSet mixed(const std::vector<std::string>& names, const std::filesystem::path& cache,
                         const TaskContext& context, const Make& make) const;

    const Recipe& m_recipe;
    const Model& m_model;
    std::vector<TokenWindows> m_windows;
    std::vector<double> m_weights;
};

} // namespace rankwright
