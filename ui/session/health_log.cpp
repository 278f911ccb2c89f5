#include "ui/session/health_log.h"

namespace rankwright::ui {

void HealthLog::add(std::int64_t run, const std::vector<NumericEvent>& events)
{
    const int first = static_cast<int>(m_entries.size());
    const QDateTime now = QDateTime::currentDateTime();
    for (const NumericEvent& event : events) {
        if (!m_known.emplace(run, event.kind, event.linear, event.message).second)
            continue;
        m_entries.push_back({now, run, event});
        if (event.kind != "storedDense" && event.kind != "rankSetByHand")
            m_kinds.emplace(run, event.kind);
    }
    if (const int count = static_cast<int>(m_entries.size()) - first; count > 0)
        emit added(first, count);
}

void HealthLog::clear()
{
    m_entries.clear();
    m_known.clear();
    m_kinds.clear();
    emit cleared();
}

} // namespace rankwright::ui
