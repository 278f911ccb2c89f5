#include "tests/ui/plot_support.h"
#include "ui/theme/theme.h"

#include <QAction>
#include <QApplication>
#include <QElapsedTimer>
#include <QSignalSpy>
#include <QWheelEvent>

#include <algorithm>

using namespace rankwright::ui;
using namespace Qt::StringLiterals;

namespace {

void turnWheel(QWidget& widget, const QPointF& position, int angle)
{
    QWheelEvent event(position, widget.mapToGlobal(position), QPoint(), QPoint(0, angle), Qt::NoButton, Qt::NoModifier,
                      Qt::NoScrollPhase, false);
    QApplication::sendEvent(&widget, &event);
}

} // namespace

class TestPlots : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase() { applyAppearance(*qApp, Appearance::Light); }

    void pixelsAndValuesAgree()
    {
        const auto plot = shown(decay(100, 2));
        plot->setLogarithmic(false, true);
        const QRectF area = plot->plotArea();
        const PlotRange range = plot->visibleRange();
        // Independently: the share of the length, logarithms on y.
        const QPointF value(30.0, 0.2);
        const double x = area.left() + (30.0 - range.xLower) / (range.xUpper - range.xLower) * area.width();
        const double y =
            area.bottom() - std::log(0.2 / range.yLower) / std::log(range.yUpper / range.yLower) * area.height();
        QVERIFY(near(plot->toPixel(value).x(), x, 1e-9));
        QVERIFY(near(plot->toPixel(value).y(), y, 1e-9));
        QVERIFY(near(plot->toValue({x, y}).x(), 30.0, 1e-9));
        QVERIFY(near(plot->toValue({x, y}).y(), 0.2, 1e-9));
    }

    void curveIsDrawnWhereItsPointsAre()
    {
        for (const bool logarithmic : {false, true}) {
            const auto plot = shown(decay(3000, 1));
            plot->setLogarithmic(logarithmic, logarithmic);
            const QImage image = plot->grab().toImage();
            const QColor background = plot->palette().color(QPalette::Base);
            int checked = 0;
            for (int rank = 5; rank <= 3000; rank += 7) {
                const QPointF pixel = plot->toPixel(plot->data().series[0].points[rank - 1]);
                QColor there = image.pixelColor(pixel.toPoint());
                for (const int beside : {-1, 1}) {
                    const QColor other = image.pixelColor(pixel.toPoint() + QPoint(0, beside));
                    if (other.blueF() - other.redF() > there.blueF() - there.redF())
                        there = other;
                }
                const QColor below = image.pixelColor((pixel + QPointF(0.0, 12.0)).toPoint());
                QVERIFY2(there.blueF() - there.redF() > 0.2F, qPrintable(u"no curve at rank %1"_s.arg(rank)));
                if (pixel.y() + 12.0 < plot->plotArea().bottom() - 1.0)
                    QVERIFY(std::abs(below.blueF() - below.redF()) < 0.1F);
                ++checked;
            }
            QVERIFY(checked > 400);
            QVERIFY(pixelsOf(image, background) > image.width() * image.height() / 2);
        }
    }

    void crosshairReadsWhatAPlainSearchFinds()
    {
        PlotData data;
        for (unsigned seed = 1; seed <= 3; ++seed) {
            PlotSeries series;
            series.points = scattered(400, seed);
            data.series.append(series);
        }
        const auto plot = shown(data);
        for (double x = -3.5; x < 7.5; x += 0.0371) {
            const QVector<PlotReading> readings = plot->readingsAt(x);
            QCOMPARE(readings.size(), 3);
            for (const PlotReading& reading : readings) {
                const QVector<QPointF>& points = data.series[reading.series].points;
                int nearest = 0;
                for (int index = 1; index < points.size(); ++index) {
                    if (std::abs(points[index].x() - x) < std::abs(points[nearest].x() - x))
                        nearest = index;
                }
                QCOMPARE(reading.index, nearest);
                QVERIFY(reading.value == points[nearest]);
            }
        }
        const QPoint inside = plot->plotArea().center().toPoint();
        QTest::mouseMove(plot.get(), inside);
        QVERIFY(plot->crosshair().has_value());
        QVERIFY(near(*plot->crosshair(), plot->toValue(QPointF(inside)).x(), 1e-9));
        QTest::mouseMove(plot.get(), QPoint(2, 2));
        QVERIFY(!plot->crosshair().has_value());
    }

    void logarithmicAxisLeavesOutWhatItCannotShow()
    {
        PlotData data = decay(50, 1);
        data.series[0].points[10].setY(0.0);
        data.series[0].points[20].setY(-1.0);
        data.series[0].points[30].setY(notANumber);
        const auto plot = shown(data);
        QCOMPARE(plot->note(), u"1 value not finite"_s);
        QTest::keyClick(plot.get(), Qt::Key_L);
        QVERIFY(plot->logarithmicY());
        QVERIFY(plot->note().contains(u"2 values at or below 0 not shown"));
        const QImage image = plot->grab().toImage();
        for (const int index : {3, 15, 25, 40}) {
            const QColor there = image.pixelColor(plot->toPixel(data.series[0].points[index]).toPoint());
            QVERIFY(there.blueF() - there.redF() > 0.2F);
        }
        QVERIFY(plot->visibleRange().yLower > 0.0);
        QTest::keyClick(plot.get(), Qt::Key_L);
        QVERIFY(!plot->logarithmicY());
        QVERIFY(plot->visibleRange().yLower < -0.9);

        for (QPointF& point : data.series[0].points)
            point.setY(0.0);
        plot->setData(data);
        plot->setLogarithmic(false, true);
        QCOMPARE(plot->note(), u"50 values at or below 0 not shown"_s);
        QVERIFY(!plot->grab().isNull());
    }

    void wheelZoomsAroundThePointer()
    {
        const auto plot = shown(decay(1000, 2));
        const PlotRange full = plot->visibleRange();
        const QPointF pointer =
            plot->plotArea().topLeft() + QPointF(0.3 * plot->plotArea().width(), 0.6 * plot->plotArea().height());
        const QPointF before = plot->toValue(pointer);
        turnWheel(*plot, pointer, 240);
        const PlotRange zoomed = plot->visibleRange();
        QVERIFY(near((zoomed.xUpper - zoomed.xLower) / (full.xUpper - full.xLower), 0.64, 1e-9));
        QVERIFY(near((zoomed.yUpper - zoomed.yLower) / (full.yUpper - full.yLower), 0.64, 1e-9));
        const QPointF share = plot->toValue(plot->plotArea().topLeft() +
                                            QPointF(0.3 * plot->plotArea().width(), 0.6 * plot->plotArea().height()));
        QVERIFY(near(share.x(), before.x(), 1e-6 * 1000));
        QVERIFY(near(share.y(), before.y(), 1e-6));
        for (int turn = 0; turn < 30; ++turn)
            turnWheel(*plot, pointer, -120);
        QVERIFY(near(plot->visibleRange().xLower, full.xLower, 1e-9));
        QVERIFY(near(plot->visibleRange().xUpper, full.xUpper, 1e-9));
        // Over the horizontal axis only x is zoomed.
        turnWheel(*plot, {plot->plotArea().center().x(), plot->plotArea().bottom() + 8.0}, 120);
        QVERIFY(plot->visibleRange().xUpper - plot->visibleRange().xLower < 0.9 * (full.xUpper - full.xLower));
        QVERIFY(near(plot->visibleRange().yUpper, full.yUpper, 1e-12));
        // However far one zooms into whole numbers, two of them stay.
        for (int turn = 0; turn < 200; ++turn)
            turnWheel(*plot, plot->plotArea().center(), 120);
        QVERIFY(plot->visibleRange().xUpper - plot->visibleRange().xLower >= 2.0 - 1e-9);
    }

    void rubberBandZoomsIntoTheRectangle()
    {
        const auto plot = shown(decay(1000, 2));
        const QPoint from = plot->plotArea().topLeft().toPoint() + QPoint(100, 40);
        const QPoint to = from + QPoint(180, 120);
        const QPointF corner = plot->toValue(from);
        const QPointF opposite = plot->toValue(to);
        QTest::mousePress(plot.get(), Qt::LeftButton, {}, from);
        QTest::mouseMove(plot.get(), from + QPoint(60, 50));
        QTest::mouseMove(plot.get(), to);
        QTest::mouseRelease(plot.get(), Qt::LeftButton, {}, to);
        const PlotRange range = plot->visibleRange();
        QVERIFY(near(range.xLower, corner.x(), 1e-6));
        QVERIFY(near(range.xUpper, opposite.x(), 1e-6));
        QVERIFY(near(range.yUpper, corner.y(), 1e-9));
        QVERIFY(near(range.yLower, opposite.y(), 1e-9));
    }

    void panStaysInsideTheData()
    {
        const auto plot = shown(decay(1000, 1));
        const PlotRange full = plot->visibleRange();
        plot->setVisibleRange({200.0, 400.0, 0.2, 0.6});
        const QPoint centre = plot->plotArea().center().toPoint();
        const double perPixel = 200.0 / plot->plotArea().width();
        QTest::mousePress(plot.get(), Qt::MiddleButton, {}, centre);
        QTest::mouseMove(plot.get(), centre + QPoint(50, 0));
        QTest::mouseRelease(plot.get(), Qt::MiddleButton, {}, centre + QPoint(50, 0));
        QVERIFY(near(plot->visibleRange().xLower, 200.0 - 50.0 * perPixel, 1.0));
        QTest::mousePress(plot.get(), Qt::MiddleButton, {}, centre);
        QTest::mouseMove(plot.get(), centre + QPoint(5000, 5000));
        QTest::mouseRelease(plot.get(), Qt::MiddleButton, {}, centre + QPoint(5000, 5000));
        QVERIFY(near(plot->visibleRange().xLower, full.xLower, 1e-9));
        QVERIFY(near(plot->visibleRange().xUpper - plot->visibleRange().xLower, 200.0, 1e-9));
        QVERIFY(near(plot->visibleRange().yUpper, full.yUpper, 1e-9));

        plot->setVisibleRange({200.0, 400.0, 0.2, 0.6});
        QTest::keyClick(plot.get(), Qt::Key_Right);
        QVERIFY(near(plot->visibleRange().xLower, 220.0, 1e-6));
        QTest::keyClick(plot.get(), Qt::Key_Up);
        QVERIFY(near(plot->visibleRange().yLower, 0.24, 1e-9));
        // Space and the left button pan as well.
        QTest::keyPress(plot.get(), Qt::Key_Space);
        QTest::mousePress(plot.get(), Qt::LeftButton, {}, centre);
        QTest::mouseMove(plot.get(), centre + QPoint(-30, 0));
        QTest::mouseRelease(plot.get(), Qt::LeftButton, {}, centre + QPoint(-30, 0));
        QTest::keyRelease(plot.get(), Qt::Key_Space);
        QVERIFY(plot->visibleRange().xLower > 221.0);
        QVERIFY(near(plot->visibleRange().xUpper - plot->visibleRange().xLower, 200.0, 1e-9));
    }

    void resetShowsEverything()
    {
        const auto plot = shown(decay(1000, 1));
        const PlotRange full = plot->visibleRange();
        const auto isFull = [&] {
            const PlotRange range = plot->visibleRange();
            return range.xLower == full.xLower && range.xUpper == full.xUpper && range.yLower == full.yLower &&
                   range.yUpper == full.yUpper;
        };
        for (int way = 0; way < 3; ++way) {
            plot->setVisibleRange({200.0, 400.0, 0.2, 0.6});
            QVERIFY(!isFull());
            if (way == 0)
                QTest::mouseDClick(plot.get(), Qt::LeftButton, {}, plot->plotArea().center().toPoint());
            else
                QTest::keyClick(plot.get(), way == 1 ? Qt::Key_0 : Qt::Key_Home);
            QVERIFY(isFull());
        }
    }

    void markerFollowsThePointer()
    {
        const auto plot = shown(decay(1000, 2));
        plot->setMarkers({{.id = 7, .x = 300.0, .label = u"rank"_s, .draggable = true},
                          {.id = 8, .x = 600.0, .label = u"break-even"_s}});
        QSignalSpy dragged(plot.get(), &PlotWidget::markerDragged);
        const int y = static_cast<int>(plot->plotArea().center().y());
        const QPoint start(static_cast<int>(plot->toPixel({300.0, 1.0}).x()), y);
        QTest::mousePress(plot.get(), Qt::LeftButton, {}, start);
        for (const int distance : {20, 75, 140}) {
            const QPoint to = start + QPoint(distance, 3);
            QTest::mouseMove(plot.get(), to);
            QCOMPARE(dragged.back().at(0).toInt(), 7);
            QCOMPARE(dragged.back().at(1).toDouble(), std::round(plot->toValue(QPointF(to)).x()));
            QCOMPARE(dragged.back().at(2).toBool(), false);
        }
        QTest::mouseRelease(plot.get(), Qt::LeftButton, {}, start + QPoint(140, 3));
        QCOMPARE(dragged.back().at(2).toBool(), true);
        QCOMPARE(plot->markers()[0].x, dragged.back().at(1).toDouble());
        // Not beyond the data.
        const QPoint there(static_cast<int>(plot->toPixel({plot->markers()[0].x, 1.0}).x()), y);
        QTest::mousePress(plot.get(), Qt::LeftButton, {}, there);
        QTest::mouseMove(plot.get(), QPoint(5, y));
        QTest::mouseRelease(plot.get(), Qt::LeftButton, {}, QPoint(5, y));
        QCOMPARE(plot->markers()[0].x, 1.0);
        // A marker that is not draggable stays, and the drag is a rubber band.
        const qsizetype before = dragged.size();
        const QPoint fixed(static_cast<int>(plot->toPixel({600.0, 1.0}).x()), y);
        QTest::mousePress(plot.get(), Qt::LeftButton, {}, fixed);
        QTest::mouseMove(plot.get(), fixed + QPoint(50, 60));
        QTest::mouseRelease(plot.get(), Qt::LeftButton, {}, fixed + QPoint(50, 60));
        QCOMPARE(dragged.size(), before);
        QVERIFY(near(plot->visibleRange().xLower, 600.0, 3.0));
    }

    void markerMovesByKeyboard()
    {
        const auto plot = shown(decay(1000, 2));
        plot->setMarkers({{.id = 1, .x = 300.0, .label = {}, .draggable = true}});
        QSignalSpy dragged(plot.get(), &PlotWidget::markerDragged);
        QTest::keyClick(plot.get(), Qt::Key_Tab);
        QTest::keyClick(plot.get(), Qt::Key_Right);
        QCOMPARE(plot->markers()[0].x, 301.0);
        QCOMPARE(dragged.size(), 2);
        QCOMPARE(dragged.at(0).at(2).toBool(), false);
        QCOMPARE(dragged.at(1).at(2).toBool(), true);
        QTest::keyClick(plot.get(), Qt::Key_Left, Qt::ShiftModifier);
        QCOMPARE(plot->markers()[0].x, 291.0);
        QTest::keyClick(plot.get(), Qt::Key_Escape);
        plot->setVisibleRange({200.0, 400.0, 0.2, 0.6});
        QTest::keyClick(plot.get(), Qt::Key_Right);
        QCOMPARE(plot->markers()[0].x, 291.0);
        QVERIFY(plot->visibleRange().xLower > 200.0);
    }

    void pointsCanBeHoveredAndClicked()
    {
        PlotData data;
        for (unsigned seed = 1; seed <= 2; ++seed) {
            PlotSeries series;
            series.points = scattered(30, seed);
            series.line = false;
            series.markers = true;
            data.series.append(series);
        }
        const auto plot = shown(data);
        QSignalSpy clicked(plot.get(), &PlotWidget::pointClicked);
        QSignalSpy hovered(plot.get(), &PlotWidget::pointHovered);
        int hits = 0;
        for (int y = static_cast<int>(plot->plotArea().top()) + 5; y < plot->plotArea().bottom(); y += 23) {
            for (int x = static_cast<int>(plot->plotArea().left()) + 5; x < plot->plotArea().right(); x += 19) {
                // Independently: the nearest point of all.
                int series = -1;
                int index = -1;
                double least = 1e9;
                for (int s = 0; s < 2; ++s) {
                    for (int i = 0; i < 30; ++i) {
                        const QPointF away = plot->toPixel(data.series[s].points[i]) - QPointF(x, y);
                        const double distance = std::hypot(away.x(), away.y());
                        if (distance < least) {
                            least = distance;
                            series = s;
                            index = i;
                        }
                    }
                }
                if (std::abs(least - 8.0) < 1e-3)
                    continue;
                clicked.clear();
                QTest::mouseMove(plot.get(), QPoint(x, y));
                QTest::mouseClick(plot.get(), Qt::LeftButton, {}, QPoint(x, y));
                if (least > 8.0) {
                    QCOMPARE(clicked.size(), 0);
                    continue;
                }
                ++hits;
                QCOMPARE(clicked.size(), 1);
                QCOMPARE(clicked[0].at(0).toInt(), series);
                QCOMPARE(clicked[0].at(1).toInt(), index);
                QCOMPARE(hovered.back().at(0).toInt(), series);
                QCOMPARE(hovered.back().at(1).toInt(), index);
            }
        }
        QVERIFY(hits > 5);
    }

    void barsAreDrawnOverTheirRange()
    {
        PlotData data;
        data.x.logarithmic = true;
        data.series = {{.name = {}, .points = {{3.0, 1.0}, {5.0, 2.0}}, .markers = true, .line = false}};
        const auto plain = shown(data);
        data.series[0].bars = {QLineF(1.0, 1.0, 30.0, 1.0), QLineF(-1.0, 2.0, 9.0, 2.0)};
        const auto plot = shown(data);
        // The view holds what can be drawn of them.
        QVERIFY(plain->visibleRange().xUpper < 6.0);
        QVERIFY(plot->visibleRange().xLower < 1.0 && plot->visibleRange().xUpper > 30.0);
        const QImage image = plot->grab().toImage();
        // Grid and axes are grey.
        const auto drawnAt = [&](double x, double y) {
            const QPoint pixel = plot->toPixel({x, y}).toPoint();
            for (int row = pixel.y() - 2; row <= pixel.y() + 2; ++row)
                if (image.pixelColor(pixel.x(), row).saturation() > 60)
                    return true;
            return false;
        };
        QVERIFY(drawnAt(1.7, 1.0));
        QVERIFY(drawnAt(19.0, 1.0));
        QVERIFY(!drawnAt(8.0, 2.0)); // an end that a logarithmic axis cannot show
    }

    void actionsAndNamesAreThere()
    {
        const auto plot = shown(decay(100, 2));
        int named = 0;
        for (const QAction* action : plot->actions()) {
            if (action->isSeparator())
                continue;
            ++named;
            QVERIFY(!action->shortcut().isEmpty());
            QVERIFY(!action->statusTip().isEmpty());
        }
        QVERIFY(named >= 9);
        QCOMPARE(plot->accessibleName(), u"Loss against rank"_s);
        QVERIFY(plot->accessibleDescription().contains(u"method 1"));
        plot->setData({});
        plot->setEmptyText(u"Select a linear"_s);
        QVERIFY(!plot->grab().isNull());
        QTest::mouseMove(plot.get(), QPoint(100, 100));
        QTest::mouseClick(plot.get(), Qt::LeftButton, {}, QPoint(100, 100));
        turnWheel(*plot, {100.0, 100.0}, 120);
        QTest::keyClick(plot.get(), Qt::Key_Right, Qt::ControlModifier);
    }

    /// Reports; no bound, because other work may share the machine.
    void paintingCost()
    {
        for (const int curves : {1, 4, 32}) {
            const auto plot = shown(decay(4096, curves), {1000, 600});
            plot->setLogarithmic(false, true);
            plot->setMarkers({{.id = 1, .x = 2000.0, .label = {}, .draggable = true}});
            QPixmap target(plot->size());
            plot->render(&target);
            QElapsedTimer timer;
            timer.start();
            for (int round = 0; round < 10; ++round) {
                plot->setVisibleRange({10.0 + round, 3000.0, 1e-9, 2.0});
                plot->render(&target);
            }
            const double zoomed = static_cast<double>(timer.nsecsElapsed()) / 1e7;
            timer.restart();
            for (int round = 0; round < 20; ++round) {
                plot->moveMarker(1, 1000.0 + 50.0 * round);
                plot->render(&target);
            }
            const double marker = static_cast<double>(timer.nsecsElapsed()) / 2e7;
            timer.restart();
            for (int round = 0; round < 10; ++round)
                plot->setData(plot->data(), PlotWidget::View::Keep);
            qDebug("%d curves of 4096: zoom and paint %.2f ms, marker %.2f ms, new data %.2f ms", curves, zoomed,
                   marker, static_cast<double>(timer.nsecsElapsed()) / 1e7);
        }
    }
};

QTEST_MAIN(TestPlots)
#include "tst_plots.moc"
