#include "ui/threads/handover.h"

#include <atomic>
#include <utility>

namespace rankwright::ui {

namespace {

std::atomic<unsigned> handovers;

/// A call that one thread makes and another runs and destroys; moved only, so that the first is left with nothing.
class Handed
{
public:
    explicit Handed(std::function<void()> call)
        : m_call(std::move(call))
    {
        release();
    }
    Handed(const Handed&) = delete;
    Handed(Handed&& other) noexcept
        : m_call(std::move(other.m_call))
    {
        release();
    }
    Handed& operator=(const Handed&) = delete;
    Handed& operator=(Handed&&) = delete;
    ~Handed() { acquire(); }

    /// Once. What the call holds is destroyed here: this, as QMetaObject::invokeMethod() keeps it, by either thread.
    void operator()()
    {
        acquire();
        std::exchange(m_call, nullptr)();
        release();
    }

private:
    static void release() { handovers.fetch_add(1, std::memory_order_release); }
    static void acquire() { static_cast<void>(handovers.load(std::memory_order_acquire)); }

    std::function<void()> m_call;
};

/// A task of a pool, destroyed by it. QThreadPool also takes a function, but reads it before the order is known.
class HandedTask : public QRunnable
{
public:
    explicit HandedTask(std::function<void()> work)
        : m_work(std::move(work))
    {}
    void run() override { m_work(); }

private:
    Handed m_work;
};

} // namespace

void startOnPool(QThreadPool& pool, std::function<void()> work, int priority)
{
    pool.start(new HandedTask(std::move(work)), priority);
}

void callLater(QObject* receiver, std::function<void()> call)
{
    QMetaObject::invokeMethod(receiver, Handed(std::move(call)), Qt::QueuedConnection);
}

} // namespace rankwright::ui
