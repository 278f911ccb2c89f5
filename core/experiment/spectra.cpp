#include "core/experiment/spectra.h"

namespace rankwright {

LoadedLinear loadLinear(const Model& model, const Device& device, const LinearInfo& info)
{
    LinearWeights weights = model.readLinear(info);
    LoadedLinear loaded{.W = {}, .bias = std::move(weights.bias)};
    if (const auto* dense = std::get_if<DenseWeights>(&weights.form))
        loaded.W = convertMatrix<double>(dense->W);
    else
        loaded.W = expandLinear(device, weights);
    return loaded;
}

LinearSpectrum analyseLinear(const Model& model, const Device& device, const Method& method,
                             const MethodParameters& parameters, const LinearInfo& info,
                             const TapStatistics* statistics, bool exactCurve)
{
    LoadedLinear linear = loadLinear(model, device, info);
    const LinearProblem problem{
        .name = info.name, .W = std::move(linear.W), .statistics = statistics, .bias = std::move(linear.bias)};
    const std::unique_ptr<Analysis> analysis = method.analyze(device, problem, parameters);
    LinearSpectrum spectrum{.linear = info.index,
                            .singularValues = analysis->singularValues(),
                            .loss = exactCurve ? analysis->lossAtEveryRank() : analysis->planningCurve(),
                            .exact = exactCurve || analysis->planningIsExact(),
                            .totalEnergy = analysis->totalEnergy(),
                            .events = analysis->events()};
    for (NumericEvent& event : spectrum.events)
        event.linear = info.name;
    return spectrum;
}

std::vector<double> cumulativeEnergy(std::span<const double> singularValues)
{
    std::vector<double> energy;
    energy.reserve(singularValues.size());
    double sum = 0.0;
    for (const double value : singularValues)
        energy.push_back(sum += value * value);
    for (double& value : energy)
        value = sum > 0.0 ? value / sum : 1.0;
    return energy;
}

} // namespace rankwright
