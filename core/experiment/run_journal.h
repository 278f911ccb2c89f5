#pragma once

#include "core/allocation/allocation.h"
#include "core/experiment/earlier_attempts.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/run_job.h"
#include "core/experiment/store.h"

#include <mutex>
#include <vector>

namespace rankwright {

/// The finished linears of a run: first the file, then the row of the store. Calls may come from any thread.
class RunJournal
{
public:
    RunJournal(const RunJob& job, Store& store, std::int64_t run);

    /// Takes over the files of an earlier attempt that are whole and as planned, with what `earlier` has noted of their
    /// linears; others are deleted with a note.
    void resume(const AllocationPlan& plan, EarlierAttempts& earlier);
    bool finished(std::size_t position) const;
    void add(std::size_t position, LinearRecord record, double seconds);
    /// Of the finished linears, in the order of RunJob::linears.
    std::vector<LinearOutcome> outcomes() const;

private:
    void record(std::size_t position, const LinearOutcome& outcome, std::span<const double> singularValues);

    const RunJob& m_job;
    Store& m_store;
    std::int64_t m_run;
    mutable std::mutex m_mutex;
    std::vector<LinearOutcome> m_outcomes;
    std::vector<bool> m_finished;
    std::size_t m_done = 0;
};

} // namespace rankwright
