#pragma once

#include "ui/session/failure.h"

#include <QObject>
#include <QPointer>
#include <QThreadPool>

#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

namespace rankwright::ui {

/// Threads of lower priority that run work of the engine and deliver results to the window's thread.
/// Lives on the window's thread.
class Background
{
public:
    enum class AtEnd {
        DropWaiting,  ///< for what only a window needs
        FinishWaiting ///< for what has to be kept; with one thread in the order it was asked for
    };
    explicit Background(int threads, AtEnd atEnd = AtEnd::DropWaiting);
    /// Waits for what runs.
    ~Background();
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    /// Runs `work()` on a thread of the pool and then `then(Outcome)` on the window's thread, unless `stop` was
    /// requested or `receiver` is gone by then. Both are destroyed on the window's thread. Tasks of higher priority
    /// start first.
    template <typename Work, typename Then>
    void run(QObject* receiver, const std::stop_token& stop, Work work, Then then, int priority = 0)
    {
        using Value = std::invoke_result_t<Work>;
        auto task = std::make_shared<std::pair<Work, Then>>(std::move(work), std::move(then));
        start(
            [this, task = std::move(task), stop = stop, guard = QPointer<QObject>(receiver)]() mutable {
                auto outcome = std::make_shared<Outcome<Value>>();
                if (!stop.stop_requested()) {
                    try {
                        outcome->value.emplace(task->first());
                    } catch (...) {
                        outcome->failure = currentFailure();
                    }
                }
                // Handed over whole: what `then` and `guard` hold of the window is never destroyed on this thread.
                deliver([task = std::move(task), stop = std::move(stop), guard = std::move(guard),
                         outcome = std::move(outcome)] {
                    if (guard && !stop.stop_requested())
                        task->second(std::move(*outcome));
                });
            },
            priority);
    }

private:
    void start(std::function<void()> work, int priority);
    void deliver(std::function<void()> call);

    std::unique_ptr<QObject> m_window; ///< receives deliveries on the window's thread
    QThreadPool m_pool;
    AtEnd m_atEnd;
};

/// Latest request wins: each call of next() makes the work of the call before stop and its result be dropped.
class LatestRequest
{
public:
    ~LatestRequest() { cancel(); }
    std::stop_token next()
    {
        cancel();
        m_source = std::stop_source();
        return m_source.get_token();
    }
    void cancel() { m_source.request_stop(); }

private:
    std::stop_source m_source{std::nostopstate};
};

} // namespace rankwright::ui
