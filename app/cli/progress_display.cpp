#include "app/cli/progress_display.h"

#include "app/cli/output.h"

#include <algorithm>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace rankwright::cli {

namespace {

/// Notes of one kind that are printed; a run of a large model can have hundreds.
constexpr std::size_t notesPerKind = 3;

std::size_t terminalWidth()
{
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

} // namespace

ProgressDisplay::ProgressDisplay(bool quiet)
    : m_quiet(quiet)
    , m_terminal(::isatty(STDERR_FILENO) == 1)
{}

ProgressDisplay::~ProgressDisplay()
{
    end();
}

void ProgressDisplay::report(const Progress& progress)
{
    if (m_quiet)
        return;
    const std::lock_guard lock(m_mutex);
    const Clock::time_point now = Clock::now();
    const bool newStage = progress.stage != m_stage;
    if (newStage || progress.total != m_stageTotal || progress.done < m_stageFirst) {
        m_stageStart = now;
        m_stageFirst = progress.done;
        m_stageTotal = progress.total;
    }
    m_stage = progress.stage;
    if (m_terminal)
        drawBar(progress, now);
    else if (newStage ||
             now - m_lastShown > std::clamp<Clock::duration>((now - m_stageStart) / 20, std::chrono::seconds(1),
                                                             std::chrono::seconds(30)))
        printLine(progress, now);
}

void ProgressDisplay::printLine(const Progress& progress, Clock::time_point now)
{
    std::string line = progress.stage;
    if (progress.total > 0)
        line += fmt::format(": {} of {}", progress.done, progress.total);
    if (!progress.item.empty())
        line += (progress.total > 0 ? ", " : ": ") + progress.item;
    writeToStandardError(oneLine(line + timeLeft(progress, now)) + '\n');
    m_lastShown = now;
}

void ProgressDisplay::drawBar(const Progress& progress, Clock::time_point now)
{
    if (m_barShown && now - m_lastShown < std::chrono::milliseconds(100) && progress.done != progress.total)
        return;
    constexpr std::size_t barWidth = 24;
    std::string line = fmt::format("{:<9}", progress.stage);
    if (progress.total > 0) {
        const std::size_t filled = std::min(barWidth, barWidth * progress.done / progress.total);
        line += fmt::format(" [{}{}] {}/{}", std::string(filled, '#'), std::string(barWidth - filled, '.'),
                            progress.done, progress.total);
        line += timeLeft(progress, now);
    }
    const std::size_t width = terminalWidth() - 1;
    if (!progress.item.empty() && line.size() + 12 < width)
        line += "  " + shortened(oneLine(progress.item), width - line.size() - 2);
    writeToStandardError("\r\x1b[K" + firstColumns(line, width));
    m_barShown = true;
    m_lastShown = now;
}

std::string ProgressDisplay::timeLeft(const Progress& progress, Clock::time_point now) const
{
    const double elapsed = std::chrono::duration<double>(now - m_stageStart).count();
    if (progress.done <= m_stageFirst || progress.done >= progress.total || elapsed < 1.0)
        return {};
    const auto done = static_cast<double>(progress.done - m_stageFirst);
    return fmt::format(", about {} left",
                       duration(elapsed / done * static_cast<double>(progress.total - progress.done)));
}

void ProgressDisplay::note(const NumericEvent& event)
{
    const std::lock_guard lock(m_mutex);
    if (++m_notes[event.kind] > notesPerKind)
        return;
    clearBar();
    writeToStandardError(
        oneLine(fmt::format("note: {}{}{}", event.linear, event.linear.empty() ? "" : ": ", event.message)) + '\n');
}

void ProgressDisplay::end()
{
    const std::lock_guard lock(m_mutex);
    clearBar();
    for (const auto& [kind, count] : m_notes)
        if (count > notesPerKind)
            writeToStandardError(fmt::format("note: {} more of the kind {}\n", count - notesPerKind, kind));
    m_notes.clear();
    m_stage.clear();
}

void ProgressDisplay::clearBar()
{
    if (!m_barShown)
        return;
    writeToStandardError("\r\x1b[K");
    m_barShown = false;
}

} // namespace rankwright::cli
