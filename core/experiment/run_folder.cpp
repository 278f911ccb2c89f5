#include "core/experiment/run_folder.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/runner.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rankwright {

namespace {

std::filesystem::path lockFileOf(const std::filesystem::path& folder)
{
    return folder.parent_path() / (folder.filename().string() + ".lock");
}

/// Runs `read` on a JSON file of a run; wrong keys and types become Error(Corrupt).
template <typename Read>
auto readRunJson(const std::filesystem::path& file, const std::string& fingerprint, const Read& read)
{
    const Json json = readJson(file);
    try {
        if (json.at("fingerprint").get<std::string>() != fingerprint)
            throw Error(ErrorKind::Mismatch, "belongs to another run", {.file = file});
        return read(json);
    } catch (const Json::exception& exception) {
        throw Error(ErrorKind::Corrupt, std::string("is not what a run writes: ") + exception.what(), {.file = file});
    }
}

} // namespace

RunLock::RunLock(const std::filesystem::path& folder)
    : m_folder(folder)
{
    createFolders(folder);
    const std::filesystem::path file = lockFileOf(folder);
    const auto fail = [&](const char* what) {
        const int code = errno;
        ::close(m_descriptor);
        throw Error(ErrorKind::Io, fmt::format("cannot {} the lock of a run: {}", what, std::strerror(code)),
                    {.file = file});
    };
    for (bool locked = false; !locked;) {
        m_descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (m_descriptor < 0)
            fail("create");
        if (::flock(m_descriptor, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK)
                fail("take");
            std::array<char, 32> holder{};
            const ssize_t length = ::pread(m_descriptor, holder.data(), holder.size(), 0);
            ::close(m_descriptor);
            const std::string process(holder.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("the same run is being run by process {}; wait for it or stop it",
                                    process.empty() ? "(unknown)" : process),
                        {.file = folder});
        }
        // Whoever deleted the run meanwhile took the file away that was opened here.
        struct stat status = {};
        if (::fstat(m_descriptor, &status) != 0)
            fail("look at");
        locked = status.st_nlink > 0;
        if (!locked) {
            ::close(m_descriptor);
            createFolders(folder);
        }
    }
    const std::string process = std::to_string(::getpid());
    if (::ftruncate(m_descriptor, 0) != 0 || ::pwrite(m_descriptor, process.data(), process.size(), 0) < 0)
        fail("write");
}

void RunLock::removeFolder()
{
    std::error_code failure;
    std::filesystem::remove_all(m_folder, failure);
    if (failure)
        throw Error(ErrorKind::Io, "cannot remove the folder of a run: " + failure.message(), {.file = m_folder});
    std::filesystem::remove(lockFileOf(m_folder), failure);
}

RunLock::~RunLock()
{
    ::close(m_descriptor);
}

void removePartialFiles(const std::filesystem::path& folder)
{
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with('.') && name.ends_with(".partial")) {
            std::error_code ignored;
            std::filesystem::remove(entry.path(), ignored);
        }
    }
}

std::string_view lastKind(const Recipe& recipe, const LinearOutcome& outcome)
{
    if (outcome.left)
        return "linear";
    return recipe.recovery ? "recovered" : distillationOf(recipe) ? "distilled" : "linear";
}

void writePlan(const std::filesystem::path& folder, const std::string& fingerprint, const AllocationPlan& plan)
{
    Json ranks = Json::array();
    for (const AllocatedRank& rank : plan.ranks)
        ranks.push_back({{"name", rank.name},
                         {"rank", rank.rank},
                         {"structure", structureName(rank.structure)},
                         {"note", rank.note}});
    writeFileAtomically(folder / "plan.json", dumpJson({{"fingerprint", fingerprint}, {"ranks", ranks}}, 1) + "\n");
}

std::optional<AllocationPlan> readPlan(const std::filesystem::path& folder, const std::string& fingerprint,
                                       const Recipe& recipe, std::span<const LinearInfo* const> linears)
{
    const std::filesystem::path file = folder / "plan.json";
    if (!std::filesystem::exists(file))
        return std::nullopt;
    return readRunJson(file, fingerprint, [&](const Json& json) {
        const Json& ranks = json.at("ranks");
        if (ranks.size() != linears.size())
            throw Error(ErrorKind::Corrupt, fmt::format("{} ranks for {} linears", ranks.size(), linears.size()),
                        {.file = file});
        AllocationPlan plan;
        for (std::size_t i = 0; i < linears.size(); ++i) {
            const LinearInfo& info = *linears[i];
            AllocatedRank rank{.name = ranks[i].at("name").get<std::string>(),
                               .rank = ranks[i].at("rank").get<std::size_t>(),
                               .structure = structureFromName(ranks[i].at("structure").get<std::string>()),
                               .note = ranks[i].at("note").get<std::string>()};
            const bool shares = findMethod(recipe.method).sharesLatents();
            if (rank.name != info.name || rank.rank < 1 ||
                rank.rank > (shares ? info.shape.columns : info.shape.fullRank()) ||
                (rank.structure != recipe.structure && rank.structure != StructureKind::Dense &&
                 !(shares && rank.structure == StructureKind::SharedLatent)))
                throw Error(ErrorKind::Corrupt, fmt::format("entry {} is impossible", i),
                            {.file = file, .tensor = info.name});
            const Structure structure(rank.structure, storedStructure(recipe).sparseShare);
            rank.entries = structure.at(info.shape, rank.rank).entries;
            rank.keptParameters = parameterCount(rank.stored(), info.shape);
            plan.denseParameters += info.shape.parameters();
            plan.keptParameters += rank.keptParameters;
            plan.ranks.push_back(std::move(rank));
        }
        plan.keptRatio = static_cast<double>(plan.keptParameters) / static_cast<double>(plan.denseParameters);
        return std::optional(std::move(plan));
    });
}

void writeManifest(const std::filesystem::path& folder, const Recipe& recipe, const RunResult& result,
                   std::span<const LinearInfo* const> linears)
{
    const Recipe defaults;
    Recipe what = recipe;
    what.name.clear();
    what.evaluations.clear();
    what.heldOutWindows = 0;
    what.device = defaults.device;
    what.threads = defaults.threads;
    what.memoryLimit = defaults.memoryLimit;
    what.out.clear();
    what.exportFormat = defaults.exportFormat;
    what.exportDType = defaults.exportDType;
    Json outcomes = Json::array();
    for (std::size_t i = 0; i < linears.size(); ++i) {
        Json outcome = outcomeToJson(result.linears[i]);
        outcome["file"] =
            linearFile(folder, linears[i]->index, lastKind(recipe, result.linears[i])).filename().string();
        outcomes.push_back(std::move(outcome));
    }
    writeFileAtomically(folder / "run.json", dumpJson({{"fingerprint", result.fingerprint},
                                                       {"modelFingerprint", result.modelFingerprint},
                                                       {"calibrationFingerprint", result.calibrationFingerprint},
                                                       {"recipe", recipeToJson(what)},
                                                       {"linears", outcomes}},
                                                      1) +
                                                 "\n");
}

Model compressedModel(const Model& model, const RunRecord& record)
{
    if (modelFingerprint(model) != record.result.modelFingerprint)
        throw Error(ErrorKind::Mismatch,
                    fmt::format("the weights are not those that run {} compressed; put them back or compress again",
                                record.summary.id),
                    {.file = model.checkpoint().path()});
    return model.withLinears(runLinears(record.result.folder, record.result.fingerprint));
}

LinearSource runLinears(const std::filesystem::path& folder, const std::string& fingerprint)
{
    const std::filesystem::path manifest = folder / "run.json";
    if (!std::filesystem::exists(manifest))
        throw Error(ErrorKind::NotFound, "is not the folder of a finished run; the same recipe again continues it",
                    {.file = folder});
    using Files = std::map<std::string, std::filesystem::path>;
    auto files = std::make_shared<Files>(readRunJson(manifest, fingerprint, [&](const Json& json) {
        Files result;
        for (const Json& linear : json.at("linears")) {
            const std::filesystem::path name = linear.at("file").get<std::string>();
            if (name.empty() || name != name.filename())
                throw Error(ErrorKind::Corrupt, "names a file outside the folder", {.file = manifest});
            const StructureKind structure = structureFromName(linear.at("structure").get<std::string>());
            if (!linear.value("left", structure == StructureKind::Dense))
                result[linear.at("name").get<std::string>()] = folder / name;
        }
        return result;
    }));
    return [files = std::shared_ptr<const Files>(std::move(files)),
            fingerprint](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
        const auto found = files->find(info.name);
        if (found == files->end())
            return nullptr;
        LinearRecord record = readLinearFile(found->second, fingerprint, info);
        if (!record.weights)
            throw Error(ErrorKind::Corrupt, "holds no factors", {.file = found->second, .tensor = info.name});
        return std::make_shared<const LinearWeights>(std::move(*record.weights));
    };
}

} // namespace rankwright
