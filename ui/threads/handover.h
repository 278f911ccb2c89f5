#pragma once

#include <QObject>
#include <QThreadPool>

#include <functional>

namespace rankwright::ui {

/// Work handed from thread to thread through Qt's queues, in an order that the thread sanitizer sees too: Qt itself is
/// built without it, so what a pool or an event loop synchronises is invisible to it.

/// Runs `work` on a thread of `pool`; what has a higher priority starts first.
void startOnPool(QThreadPool& pool, std::function<void()> work, int priority = 0);

/// Runs `call` on the thread of `receiver`, once its event loop gets there and unless `receiver` is gone by then.
void callLater(QObject* receiver, std::function<void()> call);

} // namespace rankwright::ui
