#include "core/experiment/spectra.h"

#include "core/experiment/run_job.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>

namespace rankwright {

namespace {

LinearSpectrum spectrumOf(const Analysis& analysis, const LinearInfo& info, bool exactCurve)
{
    LinearSpectrum spectrum{.linear = info.index,
                            .shape = analysis.shape(),
                            .singularValues = analysis.singularValues(),
                            .loss = exactCurve ? analysis.lossAtEveryRank() : analysis.planningCurve(),
                            .nats = {},
                            .exact = exactCurve || analysis.planningIsExact(),
                            .totalEnergy = analysis.totalEnergy(),
                            .events = analysis.events()};
    for (NumericEvent& event : spectrum.events)
        event.linear = info.name;
    return spectrum;
}

} // namespace

LinearSpectrum analyseLinear(const Model& model, const Device& device, const Method& method,
                             const MethodParameters& parameters, const LinearInfo& info,
                             const TapStatistics* statistics, bool exactCurve, const CalibrationSet* gradients)
{
    const std::vector<const LinearInfo*> group = groupOf(model, method, info);
    if (!group.empty()) {
        const auto member = static_cast<std::size_t>(std::find(group.begin(), group.end(), &info) - group.begin());
        const LoadedGroup loaded =
            loadGroup(model, device, group, statistics, method.sharesLatents() ? gradients : nullptr);
        if (!method.sharesLatents()) {
            const auto analysis = method.analyzeGroup(device, loaded.problem, parameters);
            return spectrumOf(analysis->member(member), info, exactCurve);
        }
        const auto analysis = method.analyzeShared(device, loaded.problem, parameters);
        LinearSpectrum spectrum = spectrumOf(*analysis, info, true);
        spectrum.loss = analysis->memberLosses(member);
        spectrum.totalEnergy = spectrum.loss.front();
        if (gradients != nullptr)
            spectrum.nats = analysis->memberNats(device, loaded.problem, member);
        return spectrum;
    }
    LoadedLinear linear = loadLinear(model, device, info);
    TapStatistics outputs;
    if (gradients != nullptr)
        outputs = gradients->load(info.index);
    const LinearProblem problem{.name = info.name,
                                .W = std::move(linear.W),
                                .statistics = statistics,
                                .bias = std::move(linear.bias),
                                .gradients = gradients != nullptr ? &outputs : nullptr};
    const auto analysis = method.analyze(device, problem, parameters);
    LinearSpectrum spectrum = spectrumOf(*analysis, info, exactCurve);
    if (gradients != nullptr)
        spectrum.nats = analysis->curvatureCurve(device, problem);
    return spectrum;
}

std::vector<LinearSpectrum> analyseLinears(const Model& model, const Device& device, const Method& method,
                                           const MethodParameters& parameters,
                                           std::span<const LinearInfo* const> linears, const CalibrationSet* statistics,
                                           const CalibrationSet* gradients, bool exactCurve, const PassOptions& options,
                                           const TaskContext& context)
{
    const double sparseShare = method.sparseShare(parameters);
    std::map<std::size_t, std::vector<std::size_t>> byTap; // positions in `linears`
    for (std::size_t i = 0; i < linears.size(); ++i)
        byTap[statisticsTap(model, method, *linears[i])].push_back(i);
    const std::vector<std::pair<std::size_t, std::vector<std::size_t>>> taps(byTap.begin(), byTap.end());
    std::vector<LinearShape> shapes;
    for (const auto& [tap, positions] : taps) {
        std::vector<LinearShape> ofTap;
        for (const std::size_t position : positions) {
            const std::vector<const LinearInfo*> group = groupOf(model, method, *linears[position]);
            ofTap.push_back(group.empty() ? linears[position]->shape : shapeOfGroup(group));
        }
        shapes.push_back(largestShape(ofTap, sparseShare));
    }
    std::vector<LinearSpectrum> spectra(linears.size());
    std::atomic<std::size_t> done = 0;
    runOnPool(AnalysisPool{.model = model,
                           .context = context,
                           .sparseShare = sparseShare,
                           .threads = effectiveThreads(options),
                           .memoryLimit = effectiveMemoryLimit(options)},
              shapes, [&](std::size_t index) {
                  const auto& [tap, positions] = taps[index];
                  std::optional<TapStatistics> ofTap;
                  if (statistics != nullptr)
                      ofTap.emplace(statistics->load(tap));
                  for (const std::size_t position : positions) {
                      context.checkStop();
                      LinearSpectrum& spectrum = spectra[position];
                      spectrum = analyseLinear(model, device, method, parameters, *linears[position],
                                               ofTap ? &*ofTap : nullptr, exactCurve, gradients);
                      for (const NumericEvent& event : spectrum.events)
                          context.note(event);
                      context.report("analyse", linears[position]->name, ++done, linears.size());
                  }
              });
    return spectra;
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
