#pragma once

#include "core/experiment/earlier_attempts.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/run_job.h"
#include "core/experiment/store.h"

#include <limits>

namespace rankwright {

/// The stages of a run that train the factors it made; linears that it left are not trained, whatever the checkpoint
/// stores them as. Each writes its linears to files of its own beside those it starts from, which stay: distilled
/// blocks one by one, recovered ones at the end, from a checkpoint that is deleted then. What an earlier attempt
/// finished is taken over, with its loss curves and what was noted of it. Loss curves go to the store and to
/// RunObserver::trained.
class TrainingStages
{
public:
    /// `outcomes` are those of RunJob::linears. What is referred to outlives the stages.
    TrainingStages(const RunJob& job, const std::vector<LinearOutcome>& outcomes, EarlierAttempts& earlier,
                   Store& store, std::int64_t run);

    /// Trains what compression wrote.
    void distill(const TokenWindows& windows, const DistillationOptions& options, const PassOptions& pass);
    /// Trains what distill() wrote, or where there is none compression.
    void recover(const TokenWindows& windows, const RecoveryOptions& options, const PassOptions& pass);
    /// Outcomes with the notes of the last stage that ran.
    void updateNotes(std::vector<LinearOutcome>& outcomes) const;

    /// The model as compression left it.
    Model untrained() const;

private:
    std::vector<const LinearInfo*> chosenOf(std::size_t block) const;
    LinearRecord read(const LinearInfo& info, std::string_view kind) const;
    /// The model with every chosen linear from the first of `kinds` that it has a file of.
    Model modelOf(std::vector<std::string> kinds) const;
    /// Whether all files of a block are there and whole; else those that are there are deleted.
    bool takeOver(std::size_t block, std::string_view kind) const;
    /// Records what an earlier attempt recorded of a training: all, or what it had by a checkpoint after `lastStep`
    /// steps, when `undone` had been undone.
    void takeOverRecords(const std::string& stage, const std::string& part, std::size_t lastStep = wholeTraining,
                         std::size_t undone = wholeTraining);
    /// Writes a linear of kind `from` as `kind`, with trained weights and a note where there are such.
    void keep(const LinearInfo& info, std::string_view from, std::string_view kind, const LinearWeights* trained,
              const std::string& note) const;
    /// The event "trainedWithoutGain" (value: the loss) where a training kept what it started from; `part` is the
    /// block, or empty for all.
    void noteWithoutGain(const std::string& part, double startLoss, double endLoss) const;
    /// Linears of a block that were put in the place of others.
    std::vector<Role> trainedRoles(std::size_t block) const;
    TrainingObserver observer() const;

    static constexpr std::size_t wholeTraining = std::numeric_limits<std::size_t>::max();

    const RunJob& m_job;
    Store& m_store;
    std::int64_t m_run;
    EarlierAttempts& m_earlier;
    std::vector<bool> m_left; ///< by position in RunJob::linears
    std::string m_lastKind = "linear";
};

} // namespace rankwright
