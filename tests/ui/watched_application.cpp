#include "tests/ui/watched_application.h"

#include <QElapsedTimer>
#include <QEvent>
#include <QMetaEnum>

#include <ctime>

namespace rankwright::ui {

double threadMilliseconds()
{
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

bool WatchedApplication::notify(QObject* receiver, QEvent* event)
{
    if (m_depth > 0)
        return QApplication::notify(receiver, event);
    ++m_depth;
    const QEvent::Type type = event->type();
    const QString who =
        QString::fromLatin1(receiver->metaObject()->className()) + QStringLiteral(" ") + receiver->objectName();
    QElapsedTimer wall;
    wall.start();
    const double before = threadMilliseconds();
    const bool result = QApplication::notify(receiver, event);
    const double busy = threadMilliseconds() - before;
    m_longestWall = std::max(m_longestWall, static_cast<double>(wall.nsecsElapsed()) * 1e-6);
    if (busy > m_longestBusy) {
        m_longestBusy = busy;
        m_longestEvent =
            who + QStringLiteral(" ") + QString::fromLatin1(QMetaEnum::fromType<QEvent::Type>().valueToKey(type));
    }
    --m_depth;
    return result;
}

void WatchedApplication::reset()
{
    m_longestBusy = 0.0;
    m_longestWall = 0.0;
    m_longestEvent.clear();
}

} // namespace rankwright::ui
