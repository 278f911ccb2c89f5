#include "tests/ui/watched_application.h"

#include <QElapsedTimer>
#include <QEvent>
#include <QImage>
#include <QMetaEnum>
#include <QPainter>

#include <algorithm>
#include <array>
#include <ctime>

namespace rankwright::ui {

namespace {

/// What drawYardstick() takes on a quiet core of 2.0 GHz.
constexpr double yardstickMilliseconds = 8.0;

/// 2048 words on coloured boxes.
void drawYardstick(QImage& image)
{
    QPainter painter(&image);
    const QFontMetrics metrics(painter.font());
    for (int word = 0; word < 2048; ++word) {
        const QRect box(word % 32 * 36, word / 32 * 12, 36, 12);
        painter.fillRect(box, QColor::fromHsv(word % 360, 80, 255));
        painter.drawText(box.left(), box.top() + metrics.ascent(), QString::number(word % 311));
    }
}

/// Time of the yardstick now over that on a quiet core of 2.0 GHz, at least 1.
double slowness()
{
    QImage image(1200, 800, QImage::Format_RGB32);
    drawYardstick(image); // fills the caches of glyphs
    std::array<double, 9> times{};
    for (double& time : times) {
        const double before = threadMilliseconds();
        drawYardstick(image);
        time = threadMilliseconds() - before;
    }
    std::ranges::nth_element(times, times.begin() + times.size() / 2);
    return std::max(1.0, times[times.size() / 2] / yardstickMilliseconds);
}

} // namespace

double mostBusyMilliseconds()
{
    return 50.0 * sanitizerSlowdown * slowness();
}

double mostFrameMilliseconds()
{
    return 16.0 * sanitizerSlowdown * slowness();
}

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
