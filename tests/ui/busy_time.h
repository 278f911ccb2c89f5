#pragma once

#include <QApplication>
#include <QEvent>

#include <ctime>

namespace rankwright::ui {

/// Measures the longest time that the window's thread was busy with one event. In the thread's own processor time: on a
/// machine with more work than processors a thread that waits for its turn is not the program's stall.
class BusyTime : public QApplication
{
public:
    using QApplication::QApplication;

    bool notify(QObject* receiver, QEvent* event) override
    {
        if (m_depth > 0)
            return QApplication::notify(receiver, event);
        // Both may be gone afterwards.
        const QString name = QString::fromLatin1(receiver->metaObject()->className());
        const int type = event->type();
        ++m_depth;
        const double before = milliseconds();
        const bool result = QApplication::notify(receiver, event);
        const double spent = milliseconds() - before;
        --m_depth;
        if (spent > m_longest) {
            m_longest = spent;
            m_what = QStringLiteral("event %1 to %2").arg(type).arg(name);
        }
        return result;
    }

    void restart()
    {
        m_longest = 0.0;
        m_what.clear();
    }
    double longest() const { return m_longest; }
    const QString& what() const { return m_what; }

private:
    static double milliseconds()
    {
        timespec time{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
    }

    int m_depth = 0;
    double m_longest = 0.0;
    QString m_what;
};

} // namespace rankwright::ui
