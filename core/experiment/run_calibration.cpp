#include "core/experiment/run_calibration.h"

#include "core/calibration/mixture.h"
#include "core/calibration/moment_pass.h"

namespace rankwright {

RunCalibration::RunCalibration(const Recipe& recipe, const Model& model, const TaskContext& context)
    : m_recipe(recipe)
    , m_model(model)
{
    const auto add = [&](const WindowOptions& text, double weight) {
        context.report("open", text.text.filename().string(), 0, 0);
        m_windows.push_back(makeWindows(*model.tokenizer(), text, context));
        requireWindows(model, m_windows.back());
        m_weights.push_back(weight);
    };
    add(*recipe.calibration, 1.0);
    for (const WeightedText& more : recipe.moreCalibrations)
        add(more.windows, more.weight);
}

std::size_t RunCalibration::windowCount() const
{
    std::size_t count = 0;
    for (const TokenWindows& windows : m_windows)
        count += windows.ids.size();
    return count;
}

std::string RunCalibration::fingerprint() const
{
    std::vector<std::string> fingerprints;
    for (const TokenWindows& windows : m_windows)
        fingerprints.push_back(calibrationFingerprint(m_model, windows));
    return mixtureFingerprint(fingerprints, m_weights);
}

std::string RunCalibration::gradientsFingerprint() const
{
    std::vector<std::string> fingerprints;
    for (const TokenWindows& windows : m_windows)
        fingerprints.push_back(curvatureFingerprint(m_model, windows, curvatureOptions(m_recipe)));
    return mixtureFingerprint(fingerprints, m_weights);
}

template <typename Make>
CalibrationSet RunCalibration::mixed(const std::vector<std::string>& names, const std::filesystem::path& cache,
                                     const TaskContext& context, const Make& make) const
{
    std::vector<CalibrationSet> sets;
    for (const TokenWindows& windows : m_windows)
        sets.push_back(make(windows));
    std::vector<WeightedSet> weighted;
    for (std::size_t i = 0; i < sets.size(); ++i)
        weighted.push_back({&sets[i], m_weights[i]});
    return mixSets(m_model, weighted, names, cache, context);
}

CalibrationSet RunCalibration::moments(const Device& device, const std::filesystem::path& cache,
                                       const PassOptions& options, const TaskContext& context) const
{
    std::vector<std::string> names;
    for (const TapInfo& tap : m_model.taps())
        names.push_back(tap.name);
    return mixed(names, cache, context, [&](const TokenWindows& windows) {
        return calibrate(m_model, device, windows, cache, options, context);
    });
}

CalibrationSet RunCalibration::gradients(const Device& device, const std::filesystem::path& cache,
                                         const PassOptions& options, const TaskContext& context) const
{
    std::vector<std::string> names;
    for (const LinearInfo& linear : m_model.linears())
        names.push_back(linear.name);
    return mixed(names, cache, context, [&](const TokenWindows& windows) {
        return calibrateCurvature(m_model, device, windows, curvatureOptions(m_recipe), cache, options, context);
    });
}

} // namespace rankwright
