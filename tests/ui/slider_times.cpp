#include "tests/ui/slider_times.h"

#include "tests/ui/watched_application.h"
#include "ui/plots/rank_bars.h"

#include <QElapsedTimer>
#include <QSlider>

#include <algorithm>
#include <vector>

namespace rankwright::ui {

namespace {

constexpr int keys = 60;
constexpr int start = 900;

/// Counts what reaches the screen.
class PaintCounter : public QObject
{
public:
    explicit PaintCounter(QWidget* watched) { watched->installEventFilter(this); }
    bool eventFilter(QObject* watched, QEvent* event) override
    {
        m_paints += event->type() == QEvent::Paint ? 1 : 0;
        return QObject::eventFilter(watched, event);
    }
    int paints() const { return m_paints; }

private:
    int m_paints = 0;
};

} // namespace

SliderTimes timeSlider(WindowFixture& fixture)
{
    auto* slider = fixture.find<QSlider>("keptSlider");
    auto* bars = fixture.find<RankBars>("rankBars");
    const PaintCounter counter(bars->viewport());
    slider->setFocus();
    slider->setValue(start);
    QTest::qWait(200);
    const int before = counter.paints();
    std::vector<double> times;
    std::vector<double> busy;
    times.reserve(keys);
    busy.reserve(keys);
    for (int i = 0; i < keys; ++i) {
        QElapsedTimer timer;
        timer.start();
        const double processor = threadMilliseconds();
        QTest::keyClick(slider, Qt::Key_Left);
        QCoreApplication::processEvents();
        QCoreApplication::sendPostedEvents();
        busy.push_back(threadMilliseconds() - processor);
        times.push_back(static_cast<double>(timer.nsecsElapsed()) * 1e-6);
    }
    std::ranges::sort(times);
    std::ranges::sort(busy);
    if (slider->value() != start - keys)
        QTest::qFail("the slider does not follow the keys", __FILE__, __LINE__);
    if (bars->isVisible() && counter.paints() == before)
        QTest::qFail("the bars are not painted again", __FILE__, __LINE__);
    return {.median = times[times.size() / 2], .largest = times.back(), .busy = busy[busy.size() / 2]};
}

QString toText(const SliderTimes& times)
{
    return QStringLiteral("slider to repaint: median %1 ms, largest %2 ms; processor time, median %3 ms")
        .arg(times.median, 0, 'f', 1)
        .arg(times.largest, 0, 'f', 1)
        .arg(times.busy, 0, 'f', 1);
}

} // namespace rankwright::ui
