#include "ui/session/background.h"

#include "core/base/parallel.h"
#include "ui/threads/handover.h"

namespace rankwright::ui {

namespace {

/// Deep LAPACK recursions need more than the default of a pool thread.
constexpr uint stackBytes = 16U << 20U;

} // namespace

Background::Background(int threads, AtEnd atEnd)
    : m_window(std::make_unique<QObject>())
    , m_atEnd(atEnd)
{
    m_pool.setMaxThreadCount(threads);
    m_pool.setStackSize(stackBytes);
}

Background::~Background()
{
    if (m_atEnd == AtEnd::DropWaiting)
        m_pool.clear();
    m_pool.waitForDone();
}

void Background::start(std::function<void()> work, int priority)
{
    startOnPool(
        m_pool,
        [work = std::move(work)] {
            lowerThreadPriority();
            work();
        },
        priority);
}

void Background::deliver(std::function<void()> call)
{
    callLater(m_window.get(), std::move(call));
}

} // namespace rankwright::ui
