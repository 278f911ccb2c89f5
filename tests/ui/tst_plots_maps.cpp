#include "ui/plots/heat_map.h"
#include "ui/plots/rank_bars.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QClipboard>
#include <QElapsedTimer>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTest>
#include <QWheelEvent>

#include <cmath>
#include <limits>
#include <memory>

using namespace rankwright::ui;
using namespace Qt::StringLiterals;

namespace {

constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();

HeatMapData table(int rows, int columns)
{
    HeatMapData data;
    data.title = u"Loss"_s;
    data.rowTitle = u"Block"_s;
    data.columnTitle = u"Role"_s;
    data.valueTitle = u"Relative loss"_s;
    for (int row = 0; row < rows; ++row)
        data.rows << QString::number(row);
    for (int column = 0; column < columns; ++column)
        data.columns << u"role %1"_s.arg(column);
    for (int index = 0; index < rows * columns; ++index)
        data.values << 0.25 + index;
    return data;
}

QVector<RankBar> plan(int blocks)
{
    QVector<RankBar> bars;
    for (int block = 0; block < blocks; ++block) {
        for (int role = 0; role < 7; ++role) {
            const int full = role == 1 || role == 2 ? 192 : 576;
            bars.append({.name = u"layers.%1.role%2"_s.arg(block).arg(role),
                         .block = block,
                         .role = role,
                         .roleName = u"role %1"_s.arg(role),
                         .rank = full / 3,
                         .fullRank = full,
                         .breakEven = full / 2,
                         .ghost = full / 4});
        }
    }
    return bars;
}

template <typename Widget>
void showIt(Widget& widget, QSize size)
{
    widget.resize(size);
    widget.show();
    widget.activateWindow();
    widget.setFocus();
    QVERIFY(QTest::qWaitForWindowExposed(&widget));
}

QPoint columnPoint(const RankBars& bars, int index, double share)
{
    const QRectF column = bars.columnRect(index);
    return {static_cast<int>(column.center().x()), static_cast<int>(column.bottom() - share * column.height())};
}

} // namespace

class TestPlotsMaps : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase() { applyAppearance(*qApp, Appearance::Light); }

    void clickGivesTheCell()
    {
        HeatMap map;
        map.setData(table(30, 7));
        showIt(map, {640, 560});
        QSignalSpy clicked(&map, &HeatMap::cellClicked);
        QSignalSpy activated(&map, &HeatMap::cellActivated);
        QSignalSpy hovered(&map, &HeatMap::cellHovered);
        for (const auto& [row, column] : {HeatCell(0, 0), HeatCell(4, 6), HeatCell(29, 3), HeatCell(29, 6)}) {
            const QPoint point = map.cellRect(row, column).center().toPoint();
            QTest::mouseMove(map.viewport(), point);
            QCOMPARE(hovered.back().at(0).toInt(), row);
            QCOMPARE(hovered.back().at(1).toInt(), column);
            QTest::mouseClick(map.viewport(), Qt::LeftButton, {}, point);
            QCOMPARE(clicked.back().at(0).toInt(), row);
            QCOMPARE(clicked.back().at(1).toInt(), column);
            QCOMPARE(map.currentCell(), HeatCell(row, column));
        }
        QTest::mouseClick(map.viewport(), Qt::LeftButton, {}, QPoint(3, 3));
        QCOMPARE(clicked.size(), 4);

        map.setCurrentCell(5, 5);
        QTest::keyClick(&map, Qt::Key_Down);
        QTest::keyClick(&map, Qt::Key_Left);
        QCOMPARE(map.currentCell(), HeatCell(6, 4));
        QVERIFY(map.accessibleDescription().contains(u"role 4"));
        QTest::keyClick(&map, Qt::Key_Return);
        QCOMPARE(activated.size(), 1);
        QCOMPARE(activated[0].at(0).toInt(), 6);
        QCOMPARE(activated[0].at(1).toInt(), 4);
    }

    void cellsHaveTheColoursOfTheirValues()
    {
        HeatMap map;
        HeatMapData data = table(4, 5);
        data.values[7] = notANumber;
        map.setData(data);
        showIt(map, {640, 400});
        const double least = 0.25;
        const double greatest = 19.25;
        const auto imageColour = [&map](int row, int column) {
            return map.viewport()->grab().toImage().pixelColor(map.cellRect(row, column).topLeft().toPoint() +
                                                               QPoint(3, 3));
        };
        QCOMPARE(imageColour(0, 0).rgb(), colourMap(0.0).rgb());
        QCOMPARE(imageColour(2, 3).rgb(), colourMap((13.25 - least) / (greatest - least)).rgb());
        QVERIFY(!map.cellColour(1, 2).isValid());
        map.setScale(HeatScale::Logarithmic);
        QCOMPARE(imageColour(2, 3).rgb(), colourMap(std::log(13.25 / least) / std::log(greatest / least)).rgb());
        map.setScale(HeatScale::Diverging);
        QCOMPARE(imageColour(2, 3).rgb(), divergingColour(13.25 / greatest).rgb());

        map.setScale(HeatScale::Linear);
        map.updateCell(2, 3, 5.0);
        QCOMPARE(imageColour(2, 3).rgb(), colourMap((5.0 - least) / (greatest - least)).rgb());
        // Beyond the ends all colours change.
        map.updateCell(2, 3, 40.25);
        QCOMPARE(imageColour(3, 4).rgb(), colourMap((19.25 - least) / 40.0).rgb());
    }

    void manyRowsScroll()
    {
        HeatMap map;
        map.setData(table(200, 7));
        showIt(map, {500, 400});
        QVERIFY(map.verticalScrollBar()->maximum() > 500);
        map.setCurrentCell(0, 0);
        QTest::keyClick(&map, Qt::Key_End, Qt::ControlModifier);
        QCOMPARE(map.currentCell(), HeatCell(199, 6));
        QVERIFY(map.verticalScrollBar()->value() >= map.verticalScrollBar()->maximum() - 1);
        const QRectF cell = map.cellRect(199, 6);
        QVERIFY(cell.height() >= 7.0);
        QVERIFY(QRectF(map.viewport()->rect()).contains(cell));
        QCOMPARE(map.cellAt(cell.center()), HeatCell(199, 6));
        // The whole map is exported, not the part in view.
        QVERIFY(map.figureSize().height() >= 200 * 7);
    }

    void draggingABarGivesTheRankUnderThePointer()
    {
        RankBars bars;
        bars.setBars(plan(10));
        showIt(bars, {1200, 320});
        QSignalSpy dragged(&bars, &RankBars::rankDragged);
        for (const bool relative : {true, false}) {
            bars.setRelative(relative);
            for (const int index : {0, 8, 33, 69}) {
                dragged.clear();
                const QRectF area = bars.plotArea();
                const int full = bars.bars()[index].fullRank;
                const QPoint start = columnPoint(bars, index, 0.1);
                const QPoint end = columnPoint(bars, index, relative ? 0.27 : 0.21);
                QTest::mousePress(bars.viewport(), Qt::LeftButton, {}, start);
                QTest::mouseMove(bars.viewport(), end);
                const double whole = relative ? full : 576;
                const int expected = static_cast<int>(std::lround((area.bottom() - end.y()) / area.height() * whole));
                QVERIFY(!dragged.isEmpty());
                QCOMPARE(dragged.back().at(0).toInt(), index);
                QCOMPARE(dragged.back().at(1).toInt(), std::min(expected, full));
                QCOMPARE(dragged.back().at(2).toBool(), false);
                QTest::mouseRelease(bars.viewport(), Qt::LeftButton, {}, end);
                QCOMPARE(dragged.back().at(2).toBool(), true);
                QCOMPARE(bars.bars()[index].rank, std::min(expected, full));
                // The bar is drawn as high as that.
                QVERIFY(std::abs(bars.barRect(index).top() - end.y()) <= 1.0 || expected > full);
            }
        }
        bars.setLocked(33, true);
        dragged.clear();
        QTest::mousePress(bars.viewport(), Qt::LeftButton, {}, columnPoint(bars, 33, 0.1));
        QTest::mouseMove(bars.viewport(), columnPoint(bars, 33, 0.8));
        QTest::mouseRelease(bars.viewport(), Qt::LeftButton, {}, columnPoint(bars, 33, 0.8));
        QCOMPARE(dragged.size(), 0);
    }

    void barsAreSelectedByMouseAndKeyboard()
    {
        RankBars bars;
        bars.setBars(plan(10));
        showIt(bars, {1200, 320});
        QSignalSpy changed(&bars, &RankBars::selectionChanged);
        QTest::mouseClick(bars.viewport(), Qt::LeftButton, {}, columnPoint(bars, 3, 0.5));
        QCOMPARE(bars.selection(), QVector<int>({3}));
        QTest::mouseClick(bars.viewport(), Qt::LeftButton, Qt::ControlModifier, columnPoint(bars, 10, 0.5));
        QCOMPARE(bars.selection(), QVector<int>({3, 10}));
        QTest::mouseClick(bars.viewport(), Qt::LeftButton, Qt::ShiftModifier, columnPoint(bars, 13, 0.5));
        QCOMPARE(bars.selection(), QVector<int>({10, 11, 12, 13}));
        QCOMPARE(changed.size(), 3);
        QTest::keyClick(&bars, Qt::Key_Left);
        QCOMPARE(bars.currentIndex(), 12);
        QCOMPARE(bars.selection(), QVector<int>({12}));

        QSignalSpy dragged(&bars, &RankBars::rankDragged);
        const int before = bars.bars()[12].rank;
        QTest::keyClick(&bars, Qt::Key_Up);
        QTest::keyClick(&bars, Qt::Key_Up, Qt::ShiftModifier);
        QCOMPARE(bars.bars()[12].rank, before + 11);
        QCOMPARE(dragged.size(), 4);
        QCOMPARE(dragged.back().at(2).toBool(), true);
    }

    void zoomKeepsTheBarUnderThePointer()
    {
        RankBars bars;
        bars.setBars(plan(30));
        showIt(bars, {900, 300});
        const QPoint point = columnPoint(bars, 120, 0.5);
        QCOMPARE(bars.barAt(QPointF(point)), 120);
        for (int turn = 0; turn < 6; ++turn) {
            QWheelEvent event(QPointF(point), bars.viewport()->mapToGlobal(QPointF(point)), QPoint(), QPoint(0, 120),
                              Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
            QApplication::sendEvent(bars.viewport(), &event);
        }
        QVERIFY(bars.zoom() > 3.0);
        QCOMPARE(bars.barAt(QPointF(point)), 120);
        QTest::keyClick(&bars, Qt::Key_End);
        QVERIFY(bars.columnRect(209).right() <= bars.plotArea().right() + 1.0);
        QTest::keyClick(&bars, Qt::Key_0);
        QCOMPARE(bars.zoom(), 1.0);
        QVERIFY(bars.columnRect(0).left() >= bars.plotArea().left());
    }

    void tablesHoldTheNumbers()
    {
        RankBars bars;
        bars.setBars(plan(1));
        QSignalSpy saved(bars.figureActions(), &FigureActions::saved);
        bars.figureActions()->copyData();
        const QString text = QGuiApplication::clipboard()->text();
        QVERIFY(text.startsWith(u"name,block,role,rank,fullRank,breakEvenRank,otherPlanRank,keptRatio,locked\n"));
        QVERIFY(text.contains(u"layers.0.role1,0,role 1,64,192,96,48,0.66666666666666663,false\n"));
        HeatMap map;
        map.setData(table(2, 2));
        map.figureActions()->copyData();
        QCOMPARE(QGuiApplication::clipboard()->text(),
                 u"Block,Role,Relative loss\n0,role 0,0.25\n0,role 1,1.25\n1,role 0,2.25\n1,role 1,3.25\n"_s);
    }

    /// Reports; no bound, because other work may share the machine.
    void paintingCost()
    {
        RankBars bars;
        bars.setBars(plan(32));
        showIt(bars, {1400, 300});
        QPixmap target(bars.viewport()->size());
        const auto measure = [&target](QWidget* widget, const std::function<void(int)>& change, const QRegion& region) {
            widget->render(&target);
            QElapsedTimer timer;
            timer.start();
            for (int round = 0; round < 50; ++round) {
                change(round);
                widget->render(&target, {}, region);
            }
            return static_cast<double>(timer.nsecsElapsed()) / 5e7;
        };
        const auto setRank = [&bars](int round) { bars.setRank(100, 100 + round); };
        qDebug("224 bars: all %.2f ms, one column %.2f ms",
               measure(bars.viewport(), setRank, QRegion(bars.viewport()->rect())),
               measure(bars.viewport(), setRank, QRegion(bars.columnRect(100).toAlignedRect())));
        HeatMap map;
        map.setData(table(32, 7));
        showIt(map, {700, 600});
        target = QPixmap(map.viewport()->size());
        qDebug("32 x 7 cells: one cell %.2f ms, all %.2f ms",
               measure(
                   map.viewport(), [&map](int round) { map.updateCell(3, 3, round); }, QRegion(map.viewport()->rect())),
               measure(
                   map.viewport(), [&map](int round) { map.setEmptyText(QString::number(round)); },
                   QRegion(map.viewport()->rect())));
    }
};

QTEST_MAIN(TestPlotsMaps)
#include "tst_plots_maps.moc"
