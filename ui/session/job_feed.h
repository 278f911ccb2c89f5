#pragma once

#include "core/experiment/runner.h"

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rankwright::ui {

/// What a running job tells, collected on the engine's threads and taken by the window's.
class JobFeed
{
public:
    struct Content
    {
        std::optional<Progress> progress; ///< the latest
        std::vector<NumericEvent> events;
        std::vector<LinearOutcome> linears;
        std::vector<TrainingPoint> trained;
        std::optional<AllocationPlan> plan;
        std::optional<std::int64_t> run;
    };

    void add(const Progress& progress)
    {
        const std::lock_guard lock(m_mutex);
        m_content.progress = progress;
    }
    void add(const NumericEvent& event)
    {
        const std::lock_guard lock(m_mutex);
        m_content.events.push_back(event);
    }
    void add(const LinearOutcome& linear)
    {
        const std::lock_guard lock(m_mutex);
        m_content.linears.push_back(linear);
    }
    void add(const TrainingPoint& point)
    {
        const std::lock_guard lock(m_mutex);
        m_content.trained.push_back(point);
    }
    void add(const AllocationPlan& plan)
    {
        const std::lock_guard lock(m_mutex);
        m_content.plan = plan;
    }
    void add(std::int64_t run)
    {
        const std::lock_guard lock(m_mutex);
        m_content.run = run;
    }
    Content take()
    {
        const std::lock_guard lock(m_mutex);
        return std::exchange(m_content, {});
    }

private:
    std::mutex m_mutex;
    Content m_content;
};

/// Share of a job that is done, from its stages: each has a weight, what it has done counts in part.
class StageShares
{
public:
    explicit StageShares(std::vector<std::pair<std::string, double>> weights);
    /// 0 to 1, never less than before.
    double fraction(const Progress& progress);

private:
    std::vector<std::pair<std::string, double>> m_weights;
    double m_fraction = 0.0;
};

} // namespace rankwright::ui
