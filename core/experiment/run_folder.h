#pragma once

#include "core/allocation/allocation.h"
#include "core/experiment/recipe.h"
#include "core/experiment/run_result.h"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rankwright {

/// Held while a process works on the folder of a fingerprint; the kernel gives it up when the process ends, however it
/// ends. The lock file lies beside the folder, so that the folder holds results only.
class RunLock
{
public:
    /// Creates the folder. Throws Error(InvalidArgument) naming the process that holds it, Error(Io).
    explicit RunLock(const std::filesystem::path& folder);
    ~RunLock();
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;

    /// Removes folder and lock file. Throws Error(Io).
    void removeFolder();

private:
    std::filesystem::path m_folder;
    int m_descriptor = -1;
};

/// Removes the temporary files of killed processes. Only for the holder of the lock.
void removePartialFiles(const std::filesystem::path& folder);

/// Keeps a plan that cost analyses, so that a cut-off run need not plan again.
void writePlan(const std::filesystem::path& folder, const std::string& fingerprint, const AllocationPlan& plan);
/// Nothing if there is no plan. Throws Error(Corrupt or Mismatch) if it is not one for `linears`.
std::optional<AllocationPlan> readPlan(const std::filesystem::path& folder, const std::string& fingerprint,
                                       const Recipe& recipe, std::span<const LinearInfo* const> linears);

/// Which of its files (linearFile()) holds a linear at the end of a run.
std::string_view lastKind(const Recipe& recipe, const LinearOutcome& outcome);

/// run.json, the last file of a run: what of the recipe decides the result, and the outcomes.
void writeManifest(const std::filesystem::path& folder, const Recipe& recipe, const RunResult& result,
                   std::span<const LinearInfo* const> linears);

} // namespace rankwright
