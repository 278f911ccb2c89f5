#pragma once

#include <QApplication>
#include <QString>

namespace rankwright::ui {

/// Sanitizers slow all code by two to four times, layouts included: with them the bounds only find what blocks.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double sanitizerSlowdown = 5.0;
#else
inline constexpr double sanitizerSlowdown = 1.0;
#endif

/// The longest that the window's thread may be busy at once. Grows with how much slower than a quiet core of 2.0 GHz
/// this machine draws at the moment, so that it is a ratio within one run and a slow or busy machine fails no test.
double mostBusyMilliseconds();
/// The longest median of what is repeated for every frame, likewise.
double mostFrameMilliseconds();

/// Processor time that the calling thread has taken.
double threadMilliseconds();

/// An application that measures how long its thread is busy with one event at once, nested event loops left out.
class WatchedApplication : public QApplication
{
public:
    using QApplication::QApplication;

    bool notify(QObject* receiver, QEvent* event) override;

    /// Longest time since reset(): of the thread's own processor time, and by the wall clock. On a machine whose
    /// processors are all taken a thread that waits for one is not busy, so bounds are set on the first.
    double longestBusyMilliseconds() const { return m_longestBusy; }
    double longestWallMilliseconds() const { return m_longestWall; }
    /// What the longest was.
    const QString& longestEvent() const { return m_longestEvent; }
    void reset();

private:
    int m_depth = 0;
    double m_longestBusy = 0.0;
    double m_longestWall = 0.0;
    QString m_longestEvent;
};

} // namespace rankwright::ui
