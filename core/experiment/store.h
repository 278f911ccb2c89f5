#pragma once

#include "core/experiment/recipe.h"
#include "core/experiment/run_result.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace rankwright {

class DatabaseWorker;

enum class RunState {
    Running,
    Finished,
    Cancelled,
    Failed,
    Interrupted ///< begun by a process that is gone; only ever read, never written
};
/// "running", "finished", "cancelled", "failed", "interrupted".
std::string_view runStateName(RunState state);

/// Machine and program of a run.
struct RunEnvironment
{
    std::string programVersion;
    std::string device;
    std::string blas;
    std::size_t threads = 0;
    std::string host; ///< processor name and memory, not the host's name
};

/// What a run gave on one evaluation text.
struct RunPerplexity
{
    std::string text; ///< name
    double original = 0.0;
    double compressed = 0.0;
    std::optional<Forecast> forecast; ///< EvaluationOutcome::forecast
};

/// One row of the runs table.
struct RunSummary
{
    std::int64_t id = 0;
    RunState state = RunState::Running;
    std::string name;
    std::string model;
    std::string method;
    std::string allocation;
    std::string structure;
    std::string sequential;
    double targetKeptRatio = 0.0;
    double keptRatio = 0.0;
    double wholeModelRatio = 0.0;
    std::size_t bytes = 0;
    std::string fingerprint;
    std::string started;  ///< ISO 8601, UTC
    std::string finished; ///< empty while running
    double seconds = 0.0;
    std::string error;
    std::string tags;
    std::string notes;
    double predictedNats = std::numeric_limits<double>::quiet_NaN(); ///< RunResult::predictedNats
    std::string modelFingerprint;
    std::size_t vocabulary = 0; ///< 0 for runs of programs that did not record it
    std::vector<RunPerplexity> perplexities;
};

/// Everything kept of a run.
struct RunRecord
{
    RunSummary summary;
    Json recipe;
    RunEnvironment environment;
    RunResult result;
};

/// The SQLite store of experiments. One connection owned by one thread of the store; calls block until their
/// transaction is committed and may come from any thread. Several processes may use one file (WAL where the file system
/// allows it, busy timeout of 10 s, then again). A number that is not finite is kept as NULL and read as NaN. All calls
/// throw Error(Io) where the disk is full or refuses, Error(Corrupt) where the file is damaged.
class Store
{
public:
    /// Opens or creates the file and migrates it. Throws Error(Io), Error(Corrupt), or Error(Unsupported) for a store
    /// of a newer program.
    explicit Store(const std::filesystem::path& file);
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    const std::filesystem::path& file() const;
    /// False where file or folder belong to others or to a read-only file system: the store can be read, changes throw
    /// Error(Io).
    bool isWritable() const;
    /// Folder of the runs' compressed linears, beside the file.
    std::filesystem::path runsFolder() const;

    /// A row in state Running, owned by this process; `fingerprint` may still be empty.
    std::int64_t beginRun(const Recipe& recipe, const RunEnvironment& environment, const std::string& fingerprint);
    /// `calibration` is empty where the method needs none.
    void setFingerprints(std::int64_t run, const std::string& fingerprint, const std::string& model,
                         const std::string& calibration);
    /// A second call with the same name replaces the first.
    void recordLinear(std::int64_t run, const LinearOutcome& outcome);
    void recordSpectrum(std::int64_t run, const std::string& linear, std::span<const double> singularValues);
    void recordEvent(std::int64_t run, const NumericEvent& event);
    void recordEvaluation(std::int64_t run, const EvaluationOutcome& outcome);
    void recordArtefact(std::int64_t run, const std::string& kind, const std::filesystem::path& path,
                        std::size_t bytes);
    void recordTrainingPoint(std::int64_t run, const TrainingPoint& point);
    /// Ratios, sizes, folders, stages and the order of the linears come from `result`; what was recorded one by one
    /// stays. Throws Error(NotFound).
    void finishRun(std::int64_t run, RunState state, const RunResult& result, const std::string& error);

    /// Newest first. `filter` is matched, ignoring case, against name, model, method, tags and notes. 10,000 runs with
    /// two evaluations each take about 30 ms.
    std::vector<RunSummary> runs(const std::string& filter = {}) const;
    /// Throws Error(NotFound).
    RunRecord run(std::int64_t id) const;
    /// Throws Error(NotFound) where none was recorded.
    std::vector<double> spectrum(std::int64_t run, const std::string& linear) const;
    /// Loss curves of a run, in the order they were recorded; empty where nothing was trained.
    std::vector<TrainingPoint> trainingPoints(std::int64_t run) const;
    /// Other runs with the same fingerprint, newest first; none while the run has no fingerprint.
    std::vector<std::int64_t> equalRuns(std::int64_t run) const;
    /// Deletes a run with all that is recorded of it, and the folder of its linears unless another run of the store has
    /// the same fingerprint. Exports and statistics stay. Throws Error(NotFound); Error(InvalidArgument) for a run that
    /// a process is at; Error(Io) where the folder cannot be removed (the row may be gone by then).
    void deleteRun(std::int64_t run);
    /// A number that is another one after every change of the store, also by other processes; well under a millisecond.
    std::int64_t changeCount() const;
    void setTags(std::int64_t run, const std::string& tags);
    void setNotes(std::int64_t run, const std::string& notes);

    /// Dense perplexities are kept by model and windows, so that they are measured once.
    std::optional<PerplexityResult> cachedPerplexity(const std::string& modelFingerprint,
                                                     const std::string& windowsFingerprint) const;
    void cachePerplexity(const std::string& modelFingerprint, const std::string& windowsFingerprint,
                         const PerplexityResult& result);

private:
    std::filesystem::path m_file;
    std::unique_ptr<DatabaseWorker> m_worker;
};

} // namespace rankwright
