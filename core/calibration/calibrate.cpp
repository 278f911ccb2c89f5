#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/calibration/calibration_files.h"
#include "core/calibration/moment_pass.h"
#include "core/calibration/tap_file.h"

#include <fmt/format.h>
#include <set>

namespace rankwright {

namespace {

constexpr std::array<TapSite, siteCount> allSites = {TapSite::AttentionInput, TapSite::OutputInput, TapSite::MlpInput,
                                                     TapSite::DownInput};

void noteLimits(const Model& model, const std::vector<TapSummary>& summaries, const TaskContext& context)
{
    std::set<std::size_t> widths;
    for (std::size_t i = 0; i < summaries.size(); ++i) {
        const TapSummary& summary = summaries[i];
        const std::string& name = model.taps()[i].name;
        if (summary.tokens < summary.width && widths.insert(summary.width).second)
            context.note({"fewTokens", name,
                          fmt::format("{} tokens for inputs of {} channels: second moments are singular, and factors "
                                      "fit these tokens more than the text",
                                      summary.tokens, summary.width),
                          static_cast<double>(summary.tokens)});
        if (summary.deadChannels > 0)
            context.note({"deadChannels", name,
                          fmt::format("{} of {} channels are zero in every token", summary.deadChannels, summary.width),
                          static_cast<double>(summary.deadChannels)});
    }
}

/// All taps into `folder`, block by block; their figures.
std::vector<TapSummary> writeStatistics(const Model& model, const Device& device, const TokenWindows& windows,
                                        const std::filesystem::path& folder, const PassOptions& options,
                                        const TaskContext& context)
{
    const PassPlan plan = planPass(model, windows, options, false, false);
    HiddenStates states = embedWindows(model, windows, plan, options);
    MomentPass pass(model, device, windows, plan);
    const std::size_t blocks = model.config().blocks;
    pass.expectPasses(blocks * (plan.siteBySite ? siteCount : 1));
    std::vector<TapSummary> summaries;
    for (std::size_t block = 0; block < blocks; ++block) {
        context.checkStop();
        const std::shared_ptr<const BlockWeights> weights = model.loadBlock(block);
        const std::size_t steps = plan.siteBySite ? siteCount : 1;
        for (std::size_t step = 0; step < steps; ++step) {
            BlockPass work{.block = block, .weights = weights.get(), .states = &states, .stage = "calibrate"};
            if (plan.siteBySite)
                work.sites = {allSites[step]};
            else
                work.sites.assign(allSites.begin(), allSites.end());
            work.advance = step + 1 == steps;
            for (TapStatistics& statistics : pass.run(work, context)) {
                summaries.push_back(summarise(statistics));
                writeTapFile(folder / tapFileName(summaries.size() - 1), statistics);
            }
        }
    }
    return summaries;
}

void hashConfig(Hasher& hasher, const ModelConfig& config)
{
    hasher.update(std::string_view(config.architecture));
    for (const std::size_t value : {config.hiddenSize, config.intermediateSize, config.blocks, config.heads,
                                    config.keyValueHeads, config.headWidth, config.vocabularySize})
        hasher.update(value);
    hasher.update(static_cast<double>(config.normEpsilon)).update(config.ropeTheta);
    hasher.update(static_cast<std::size_t>(config.activation)).update(config.slidingWindow.value_or(0));
    if (const auto& scaling = config.ropeScaling) {
        hasher.update(std::string_view(scaling->kind)).update(scaling->factor);
        hasher.update(scaling->lowFrequencyFactor).update(scaling->highFrequencyFactor);
        hasher.update(scaling->originalContext).update(std::as_bytes(std::span(scaling->factors)));
    }
}

} // namespace

std::string modelFingerprint(const Model& model)
{
    if (model.hasReplacedLinears())
        throw Error(ErrorKind::InvalidArgument,
                    "results are kept of the checkpoint's own weights only; pass the model without replaced linears");
    Hasher hasher;
    hasher.update(std::string_view("model")).update(std::string_view(model.checkpoint().fingerprint()));
    hashConfig(hasher, model.config());
    return hasher.hex();
}

std::string calibrationFingerprint(const Model& model, const TokenWindows& windows)
{
    Hasher hasher;
    hasher.update(std::string_view("calibration")).update(statisticsVersion);
    hasher.update(std::string_view(modelFingerprint(model)));
    hasher.update(std::string_view(windows.fingerprint));
    return hasher.hex();
}

CalibrationSet calibrate(const Model& model, const Device& device, const TokenWindows& windows,
                         const std::filesystem::path& cache, const PassOptions& options, const TaskContext& context)
{
    requireWindows(model, windows);
    const std::string fingerprint = calibrationFingerprint(model, windows);
    const std::filesystem::path folder = cache / fingerprint;
    std::vector<std::string> names;
    for (const TapInfo& tap : model.taps())
        names.push_back(tap.name);
    CalibrationSet set = findOrMakeSet(folder, names.size(), context, [&](const std::filesystem::path& temporary) {
        writeManifest(temporary, originOf(fingerprint, model, windows), names,
                      writeStatistics(model, device, windows, temporary, options, context));
    });
    noteLimits(model, set.summaries(), context);
    return set;
}

} // namespace rankwright
