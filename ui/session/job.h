#pragma once

#include "core/calibration/windows.h"
#include "core/experiment/export_run.h"
#include "core/experiment/recipe.h"
#include "ui/session/failure.h"
#include "ui/session/similarity_study.h"

#include <QDateTime>
#include <QString>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

namespace rankwright::ui {

enum class JobState {
    Queued,
    Running,
    Stopping, ///< stops after the linear or window at hand
    Finished,
    Cancelled,
    Failed
};

/// How far a running job is.
struct JobProgress
{
    QString stage;
    QString item;
    std::size_t done = 0;
    std::size_t total = 0;
    double fraction = 0.0;     ///< of the whole job, 0 to 1
    double secondsLeft = -1.0; ///< -1: not known yet
};

/// What a job does.
enum class JobKind {
    Compress,  ///< runs the recipe
    Calibrate, ///< statistics of the recipe's calibration text
    Measure,   ///< perplexity of the model as it is on the recipe's evaluation texts
    Compare,   ///< inputs of the linears on the recipe's calibration text beside other texts
    Export     ///< writes a finished run to a folder
};

/// One piece of long work, queued, running or done.
struct Job
{
    int id = 0;
    JobKind kind = JobKind::Compress;
    QString title;
    Recipe recipe;                            ///< of all but Export
    std::int64_t run = 0;                     ///< Compress: the row in the store once there is one; Export: the run
    RunExport runExport;                      ///< Export
    std::vector<std::filesystem::path> texts; ///< Compare: the other texts
    std::size_t directions = 0;               ///< Compare
    JobState state = JobState::Queued;
    JobProgress progress;
    Failure failure;                                   ///< Failed
    QString result;                                    ///< Finished: what came out, one line
    std::optional<ExportResult> exported;              ///< Export, Finished
    std::shared_ptr<const SimilarityStudy> similarity; ///< Compare, Finished
    std::filesystem::path folder;                      ///< Finished: what was written, empty for none
    QDateTime started;
    QDateTime ended;

    bool active() const { return state == JobState::Running || state == JobState::Stopping; }
    bool over() const
    {
        return state == JobState::Finished || state == JobState::Cancelled || state == JobState::Failed;
    }
};

} // namespace rankwright::ui
