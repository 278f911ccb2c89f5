#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/calibration/calibration_files.h"
#include "core/calibration/tap_file.h"

#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace rankwright {

namespace {

constexpr const char* manifestName = "manifest.json";
constexpr const char* formatName = "rankwright-calibration";
constexpr std::size_t formatVersion = 1;

/// Bytes above any plausible safetensors header of a tap file.
constexpr std::uintmax_t headerBytes = 4096;

[[noreturn]] void throwCorrupt(const std::filesystem::path& file, const std::string& what)
{
    throw Error(ErrorKind::Corrupt, what + "; remove the folder to compute the statistics again", {.file = file});
}

TapSummary summaryFromJson(const Json& json)
{
    TapSummary summary;
    summary.tokens = json.at("tokens").get<std::size_t>();
    summary.width = json.at("width").get<std::size_t>();
    summary.trace = json.at("trace").get<double>();
    summary.frobenius = json.at("frobenius").get<double>();
    summary.meanNorm = json.at("meanNorm").get<double>();
    summary.deadChannels = json.at("deadChannels").get<std::size_t>();
    summary.spread = json.value("spread", summary.spread);
    summary.weightSquares = json.value("weightSquares", summary.weightSquares);
    summary.weightMoments = json.value("weightMoments", summary.weightMoments);
    return summary;
}

/// A tap's file has a known size but for its header, so that a cut-off file is found without reading it.
void requireTapFile(const std::filesystem::path& path, const TapSummary& summary)
{
    std::error_code failure;
    const std::uintmax_t size = std::filesystem::file_size(path, failure);
    if (failure)
        throwCorrupt(path, "statistics of a tap are missing");
    const std::size_t width = summary.width;
    constexpr std::size_t most = std::size_t{1} << 24U;
    if (width == 0 || width > most || summary.weightSquares > most)
        throwCorrupt(path, fmt::format("a tap of {} channels and {} squares", width, summary.weightSquares));
    const std::size_t columns = summary.weightSquares;
    const std::size_t moments = summary.weightMoments ? columns * (columns + 1) / 2 + width * (width + 1) / 2 : 0;
    const std::uintmax_t data = (width * (width + 1) / 2 + 2 * width + columns + moments) * sizeof(double);
    if (size < data || size > data + headerBytes)
        throwCorrupt(path, fmt::format("{} bytes instead of {} and a header", size, data));
}

/// The set if it is there and whole. A damaged one is removed: it can be computed again.
std::optional<CalibrationSet> openExisting(const std::filesystem::path& folder, std::size_t entries)
{
    if (!std::filesystem::exists(folder))
        return std::nullopt;
    try {
        CalibrationSet set = CalibrationSet::open(folder);
        if (set.summaries().size() == entries)
            return set;
        logWarning(fmt::format("{}: {} entries instead of {}; computing again", folder.string(), set.summaries().size(),
                               entries));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::Io)
            throw;
        logWarning(std::string(error.what()) + "; computing again");
    }
    std::error_code failure;
    std::filesystem::remove_all(folder, failure);
    if (failure)
        throw Error(ErrorKind::Io, "cannot remove damaged statistics: " + failure.message(), {.file = folder});
    return std::nullopt;
}

} // namespace

std::filesystem::path tapFileName(std::size_t tap)
{
    return fmt::format("tap-{:05}.safetensors", tap);
}

TapSummary summarise(const TapStatistics& statistics)
{
    TapSummary summary;
    summary.tokens = statistics.tokens;
    summary.width = statistics.sum.size();
    summary.weightSquares = statistics.weightSquares.size();
    summary.weightMoments = !statistics.weightInputs.empty();
    double squares = 0.0;
    for (const double value : statistics.secondMoment.span())
        squares += value * value;
    summary.frobenius = std::sqrt(squares);
    const auto tokens = static_cast<double>(statistics.tokens);
    double mean = 0.0;
    for (std::size_t i = 0; i < summary.width; ++i) {
        summary.trace += statistics.secondMoment(i, i);
        mean += statistics.sum[i] / tokens * (statistics.sum[i] / tokens);
        summary.deadChannels += statistics.sumAbs[i] == 0.0 ? 1 : 0;
    }
    summary.meanNorm = std::sqrt(mean);
    return summary;
}

SetOrigin originOf(const std::string& fingerprint, const Model& model, const TokenWindows& windows)
{
    return {.fingerprint = fingerprint,
            .weights = model.checkpoint().fingerprint(),
            .windowsFingerprint = windows.fingerprint,
            .windows = windows.ids.size(),
            .windowLength = windows.ids.front().size()};
}

void writeManifest(const std::filesystem::path& folder, const SetOrigin& origin, const std::vector<std::string>& names,
                   const std::vector<TapSummary>& summaries)
{
    Json taps = Json::array();
    for (std::size_t i = 0; i < summaries.size(); ++i) {
        const TapSummary& summary = summaries[i];
        taps.push_back({{"name", names[i]},
                        {"width", summary.width},
                        {"tokens", summary.tokens},
                        {"trace", summary.trace},
                        {"frobenius", summary.frobenius},
                        {"meanNorm", summary.meanNorm},
                        {"deadChannels", summary.deadChannels},
                        {"spread", summary.spread},
                        {"weightSquares", summary.weightSquares},
                        {"weightMoments", summary.weightMoments}});
    }
    const Json manifest = {{"format", formatName},
                           {"formatVersion", formatVersion},
                           {"statisticsVersion", statisticsVersion},
                           {"fingerprint", origin.fingerprint},
                           {"weights", origin.weights},
                           {"windowsFingerprint", origin.windowsFingerprint},
                           {"windows", origin.windows},
                           {"windowLength", origin.windowLength},
                           {"taps", taps}};
    writeFileAtomically(folder / manifestName, dumpJson(manifest, 1) + "\n");
}

CalibrationSet CalibrationSet::open(const std::filesystem::path& folder)
{
    const std::filesystem::path file = folder / manifestName;
    if (!std::filesystem::is_regular_file(file))
        throw Error(ErrorKind::NotFound, "no finished calibration statistics here", {.file = folder});
    const Json manifest = readJson(file);
    CalibrationSet set;
    set.m_folder = folder;
    try {
        if (manifest.at("format") != formatName || manifest.at("formatVersion") != formatVersion)
            throwCorrupt(file, fmt::format("not a manifest of format {} version {}", formatName, formatVersion));
        set.m_fingerprint = manifest.at("fingerprint").get<std::string>();
        set.m_windows = manifest.at("windows").get<std::size_t>();
        set.m_windowLength = manifest.at("windowLength").get<std::size_t>();
        for (const Json& tap : manifest.at("taps"))
            set.m_summaries.push_back(summaryFromJson(tap));
    } catch (const Json::exception& failure) {
        throwCorrupt(file, failure.what());
    }
    const std::filesystem::path name = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
    if (name != set.m_fingerprint)
        throw Error(ErrorKind::Mismatch,
                    fmt::format("the folder is named {} but holds statistics {}", name.string(), set.m_fingerprint),
                    {.file = file});
    for (std::size_t i = 0; i < set.m_summaries.size(); ++i)
        requireTapFile(folder / tapFileName(i), set.m_summaries[i]);
    return set;
}

TapStatistics CalibrationSet::load(std::size_t tap) const
{
    if (tap >= m_summaries.size())
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("tap {} of statistics with {} taps", tap, m_summaries.size()), {.file = m_folder});
    return readTapFile(m_folder / tapFileName(tap), m_summaries[tap].width, m_summaries[tap].tokens);
}

CalibrationSet findOrMakeSet(const std::filesystem::path& folder, std::size_t entries, const TaskContext& context,
                             const std::function<void(const std::filesystem::path&)>& write)
{
    std::optional<CalibrationSet> set = openExisting(folder, entries);
    if (set) {
        set->m_reused = true;
        return *std::move(set);
    }
    AtomicFolder target(folder);
    write(target.temporary());
    context.checkStop();
    try {
        target.commit();
    } catch (const Error&) {
        // Another process that computed the same set may have been first; equal input gives equal bytes.
        set = openExisting(folder, entries);
        if (!set)
            throw;
        set->m_reused = true;
        return *std::move(set);
    }
    return CalibrationSet::open(folder);
}

} // namespace rankwright
