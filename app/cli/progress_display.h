#pragma once

#include "core/base/progress.h"

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace rankwright::cli {

/// Progress and warnings on standard error: a bar with the time left on a terminal, plain lines (a stage's first, then
/// at most one a second and ever fewer in a long stage) elsewhere. All calls may come from any thread.
class ProgressDisplay
{
public:
    /// `quiet`: warnings only.
    explicit ProgressDisplay(bool quiet);
    ~ProgressDisplay();
    ProgressDisplay(const ProgressDisplay&) = delete;
    ProgressDisplay& operator=(const ProgressDisplay&) = delete;

    void report(const Progress& progress);
    /// A line for the first few events of a kind; the others are counted and told by end().
    void note(const NumericEvent& event);
    /// Removes the bar and tells how many notes were left out. Another report starts anew.
    void end();

private:
    using Clock = std::chrono::steady_clock;

    void drawBar(const Progress& progress, Clock::time_point now);
    void printLine(const Progress& progress, Clock::time_point now);
    void clearBar();
    /// ", 12 s left", or nothing while that cannot be told.
    std::string timeLeft(const Progress& progress, Clock::time_point now) const;

    const bool m_quiet;
    const bool m_terminal;
    std::mutex m_mutex;
    std::string m_stage;
    std::size_t m_stageTotal = 0;
    std::size_t m_stageFirst = 0; ///< units done when the stage was first seen
    Clock::time_point m_stageStart;
    Clock::time_point m_lastShown;
    bool m_barShown = false;
    std::map<std::string, std::size_t> m_notes; ///< by kind
};

} // namespace rankwright::cli
