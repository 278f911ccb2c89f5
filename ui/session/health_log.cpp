#include "ui/session/health_log.h"

#include <algorithm>

namespace rankwright::ui {

void HealthLog::add(std::int64_t run, const std::vector<NumericEvent>& events)
{
    if (events.empty())
        return;
    const int first = static_cast<int>(m_entries.size());
    const QDateTime now = QDateTime::currentDateTime();
    for (const NumericEvent& event : events)
        m_entries.push_back({now, run, event});
    emit added(first, static_cast<int>(events.size()));
}

void HealthLog::addStored(std::int64_t run, const std::vector<NumericEvent>& events)
{
    if (std::ranges::none_of(m_entries, [run](const HealthEntry& entry) { return entry.run == run; }))
        add(run, events);
}

void HealthLog::clear()
{
    m_entries.clear();
    emit cleared();
}

} // namespace rankwright::ui
