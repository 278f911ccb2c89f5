#include "core/experiment/run_journal.h"

#include "core/base/error.h"
#include "core/base/event_kinds.h"

#include <fmt/format.h>

namespace rankwright {

RunJournal::RunJournal(const RunJob& job, Store& store, std::int64_t run)
    : m_job(job)
    , m_store(store)
    , m_run(run)
    , m_outcomes(job.linears.size())
    , m_finished(job.linears.size())
{}

void RunJournal::resume(const AllocationPlan& plan, EarlierAttempts& earlier)
{
    for (std::size_t position = 0; position < m_job.linears.size(); ++position) {
        const LinearInfo& info = *m_job.linears[position];
        const std::filesystem::path file = linearFile(m_job.folder, info.index);
        if (!std::filesystem::exists(file))
            continue;
        try {
            LinearRecord found = readLinearFile(file, m_job.fingerprint, info);
            const AllocatedRank& planned = plan.ranks[position];
            const bool left = planned.structure == StructureKind::Dense;
            if (found.outcome.left != left || (!left && found.outcome.stored() != planned.stored()))
                throw Error(ErrorKind::Mismatch,
                            fmt::format("has rank {} and {} sparse entries, planned is {} and {}", found.outcome.rank,
                                        found.outcome.entries, planned.rank, planned.entries),
                            {.file = file, .tensor = info.name});
            found.outcome.resumed = true;
            record(position, found.outcome, found.singularValues);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::Mismatch &&
                error.kind() != ErrorKind::Unsupported)
                throw;
            m_job.context.note({eventKind::discardedFile, info.name,
                                fmt::format("a file of an earlier attempt is computed again: {}", error.what()), 0.0});
            std::filesystem::remove(file);
        }
    }
    for (const LinearOutcome& outcome : outcomes())
        for (const NumericEvent& event : earlier.eventsOfLinear(outcome.name))
            m_job.context.note(event);
}

bool RunJournal::finished(std::size_t position) const
{
    const std::lock_guard lock(m_mutex);
    return m_finished[position];
}

void RunJournal::add(std::size_t position, LinearRecord result, double seconds)
{
    writeLinearFile(linearFile(m_job.folder, m_job.linears[position]->index), m_job.fingerprint, result,
                    m_job.recipe.storage);
    result.outcome.seconds = seconds;
    record(position, result.outcome, result.singularValues);
}

std::vector<LinearOutcome> RunJournal::outcomes() const
{
    const std::lock_guard lock(m_mutex);
    std::vector<LinearOutcome> result;
    for (std::size_t i = 0; i < m_outcomes.size(); ++i) {
        if (m_finished[i])
            result.push_back(m_outcomes[i]);
    }
    return result;
}

void RunJournal::record(std::size_t position, const LinearOutcome& outcome, std::span<const double> singularValues)
{
    m_store.recordLinear(m_run, outcome);
    m_store.recordSpectrum(m_run, outcome.name, singularValues);
    std::size_t done = 0;
    {
        const std::lock_guard lock(m_mutex);
        m_outcomes[position] = outcome;
        m_finished[position] = true;
        done = ++m_done;
    }
    if (m_job.observer.linearDone)
        m_job.observer.linearDone(outcome);
    m_job.context.report("factorise", outcome.name, done, m_job.linears.size());
}

} // namespace rankwright
