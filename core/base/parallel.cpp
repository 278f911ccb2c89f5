#include "core/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace rankwright {

void parallelFor(std::size_t count, std::size_t threads, const std::function<void(std::size_t, std::size_t)>& body)
{
    const std::size_t workers = std::max<std::size_t>(1, std::min(threads, count));
    if (workers == 1) {
        for (std::size_t i = 0; i < count; ++i)
            body(i, 0);
        return;
    }
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    std::mutex mutex;
    std::exception_ptr first;
    const auto work = [&](std::size_t worker) {
        while (!failed) {
            const std::size_t i = next++;
            if (i >= count)
                return;
            try {
                body(i, worker);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (!first)
                    first = std::current_exception();
                failed = true;
            }
        }
    };
    {
        std::vector<std::jthread> pool;
        pool.reserve(workers - 1);
        for (std::size_t worker = 1; worker < workers; ++worker)
            pool.emplace_back(work, worker);
        work(0);
    }
    if (first)
        std::rethrow_exception(first);
}

void OrderedTurn::run(std::size_t index, const std::function<void()>& part)
{
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [&] { return m_abandoned || m_next == index; });
    if (m_abandoned)
        return;
    lock.unlock();
    try {
        part();
    } catch (...) {
        abandon();
        throw;
    }
    lock.lock();
    ++m_next;
    m_changed.notify_all();
}

void OrderedTurn::abandon()
{
    const std::lock_guard lock(m_mutex);
    m_abandoned = true;
    m_changed.notify_all();
}

void lowerThreadPriority()
{
    constexpr int nice = 10;
    // On Linux the nice value belongs to a thread, and one that it starts inherits it. OpenBLAS keeps threads of its
    // own, started once by whoever comes first: work of one BLAS thread per task does not touch them.
    const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
    ::setpriority(PRIO_PROCESS, thread, nice);
}

std::size_t processorCount()
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof(set), &set) == 0)
        return std::max(1, CPU_COUNT(&set));
    return std::max(1U, std::thread::hardware_concurrency());
}

} // namespace rankwright
