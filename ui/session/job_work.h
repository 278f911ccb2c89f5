#pragma once

#include "ui/session/job.h"
#include "ui/session/job_feed.h"

#include <memory>
#include <stop_token>

namespace rankwright::ui {

/// Rough shares of the time; estimates of a run refine the bar, they never decide anything.
StageShares stagesOf(const Job& job);

/// Does what the job is for, on the calling thread, and puts what came out into it. Throws what the engine throws, and
/// Error(Io) where there is no store that the kind needs.
void workOn(Job& job, Store* store, const RunPlaces& places, const std::shared_ptr<JobFeed>& feed,
            const std::stop_token& stop);

} // namespace rankwright::ui
