#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>

namespace rankwright {

/// Calls `body(index, worker)` for every index of [0, count) on at most `threads` threads (the caller is one of them);
/// `worker` < threads identifies per-thread scratch. Indices are handed out in ascending order. The first exception
/// stops the hand-out and is rethrown after all threads have ended.
void parallelFor(std::size_t count, std::size_t threads,
                 const std::function<void(std::size_t index, std::size_t worker)>& body);

/// Lets parallel tasks do one part of their work in ascending order of a number, so that floating-point sums do not
/// depend on scheduling. Every index of [0, count) must pass exactly once, or abandon() must be called.
class OrderedTurn
{
public:
    /// Waits for the turn of `index`, runs `part`, and gives the turn to index + 1. Returns without running it after
    /// abandon(). An exception of `part` abandons and is rethrown.
    void run(std::size_t index, const std::function<void()>& part);
    /// Frees all waiting threads; used when a task failed.
    void abandon();

private:
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::size_t m_next = 0;
    bool m_abandoned = false;
};

/// Lets everything else go first: sets the priority of the calling thread, and of threads it starts from then on, to
/// nice 10. For threads of a program with a window; where the system refuses, nothing changes.
void lowerThreadPriority();

/// Number of processors this process may use.
std::size_t processorCount();

} // namespace rankwright
