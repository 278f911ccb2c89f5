#include "tests/ui/plot_support.h"
#include "ui/plots/plot_export.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QXmlStreamReader>

#include <algorithm>

using namespace rankwright::ui;
using namespace Qt::StringLiterals;

namespace {

QStringList svgTexts(const QByteArray& svg)
{
    QStringList texts;
    QXmlStreamReader reader(svg);
    while (!reader.atEnd()) {
        if (reader.readNext() == QXmlStreamReader::StartElement && reader.name() == u"text")
            texts << reader.readElementText(QXmlStreamReader::IncludeChildElements).simplified();
    }
    return reader.hasError() ? QStringList() : texts;
}

} // namespace

class TestPlotsData : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase() { applyAppearance(*qApp, Appearance::Light); }

    void keptViewSurvivesNewData()
    {
        const auto plot = shown(decay(1000, 1));
        plot->setLogarithmic(false, true);
        plot->setVisibleRange({200.0, 400.0, 0.2, 0.6});
        plot->setData(decay(1000, 3), PlotWidget::View::Keep);
        QVERIFY(plot->logarithmicY());
        QVERIFY(near(plot->visibleRange().xLower, 200.0, 1e-9));
        QVERIFY(near(plot->visibleRange().yUpper, 0.6, 1e-9));
        plot->setData(decay(1000, 3));
        QVERIFY(!plot->logarithmicY());
        QVERIFY(plot->visibleRange().xLower < 1.0);
    }

    void coloursFollowThePalette()
    {
        const auto plot = shown(decay(100, 1));
        const QPalette light = plot->palette();
        QVERIFY(pixelsOf(plot->grab().toImage(), light.color(QPalette::Base)) > 10000);
        applyAppearance(*qApp, Appearance::Dark);
        QCoreApplication::processEvents();
        const QImage dark = plot->grab().toImage();
        applyAppearance(*qApp, Appearance::Light);
        QCOMPARE(pixelsOf(dark, light.color(QPalette::Base)), 0);
        QVERIFY(pixelsOf(dark, darkPalette().color(QPalette::Base)) > 10000);
        QVERIFY(pixelsOf(dark, seriesColour(0, true)) > 50);
    }

    void thinningKeepsExtremes()
    {
        // A spike in one of 200000 points must be seen.
        PlotData data;
        PlotSeries series;
        for (int index = 0; index < 200000; ++index)
            series.points.append({static_cast<double>(index), 0.01 * std::sin(index)});
        series.points[123456].setY(5.0);
        series.points[23456].setY(-3.0);
        data.series.append(series);
        const Curve curve(series.points);
        const QVector<QPointF> thinned = curve.thinned({0.0, 199999.0}, false, false, 600);
        QVERIFY(thinned.size() <= 2 * 602);
        QVERIFY(thinned.size() > 600);
        QVERIFY(thinned.contains(QPointF(123456.0, 5.0)));
        QVERIFY(thinned.contains(QPointF(23456.0, -3.0)));
        for (qsizetype place = 1; place < thinned.size(); ++place)
            QVERIFY(thinned[place - 1].x() <= thinned[place].x());
        // Each column by a plain loop.
        for (const int column : {0, 17, 300, 599}) {
            double least = 1e9;
            double greatest = -1e9;
            double thinnedLeast = 1e9;
            double thinnedGreatest = -1e9;
            const auto columnOf = [](double x) { return static_cast<int>(std::floor(x * (600 / 199999.0))); };
            for (const QPointF& point : std::as_const(series.points)) {
                if (columnOf(point.x()) != column)
                    continue;
                least = std::min(least, point.y());
                greatest = std::max(greatest, point.y());
            }
            for (const QPointF& point : thinned) {
                if (columnOf(point.x()) != column)
                    continue;
                thinnedLeast = std::min(thinnedLeast, point.y());
                thinnedGreatest = std::max(thinnedGreatest, point.y());
            }
            QCOMPARE(thinnedLeast, least);
            QCOMPARE(thinnedGreatest, greatest);
        }
    }

    void straighteningStaysWithinItsTolerance()
    {
        std::mt19937 generator(3);
        std::normal_distribution<double> noise;
        QVector<QPointF> points;
        double y = 0.0;
        for (int index = 0; index < 3000; ++index) {
            y += index < 1000 ? 0.001 * noise(generator) : 0.2 * noise(generator);
            points.append({0.5 * index, index > 1500 && index < 1520 ? notANumber : y});
        }
        points.insert(700, points[700] + QPointF(0.0, 3.0));
        const QVector<QPointF> kept = straightened(points, 0.05);
        QVERIFY(kept.size() < points.size() - 700);
        QVERIFY(kept.front() == points.front() && kept.back() == points.back());
        qsizetype next = 1;
        int compared = 0;
        for (const QPointF& point : std::as_const(points)) {
            while (next + 1 < kept.size() && kept[next].x() < point.x())
                ++next;
            const QPointF& left = kept[next - 1];
            const QPointF& right = kept[next];
            if (std::isnan(point.y()) || std::isnan(left.y()) || std::isnan(right.y()) || left.x() == right.x())
                continue;
            if (point.x() < left.x() || point.x() > right.x() || point.x() == points[700].x())
                continue;
            const double share = (point.x() - left.x()) / (right.x() - left.x());
            QVERIFY(std::abs(left.y() + share * (right.y() - left.y()) - point.y()) <= 0.05 + 1e-12);
            ++compared;
        }
        QVERIFY(compared > 2900);
        QVERIFY(std::any_of(kept.begin(), kept.end(), [](const QPointF& point) { return std::isnan(point.y()); }));
        QCOMPARE(std::count_if(kept.begin(), kept.end(), [&](const QPointF& p) { return p.x() == points[700].x(); }),
                 2);
    }

    void csvHoldsTheNumbersExactly()
    {
        PlotData data = decay(200, 3);
        std::mt19937_64 generator(5);
        for (PlotSeries& series : data.series) {
            for (QPointF& point : series.points)
                point.setY(std::ldexp(static_cast<double>(generator()), static_cast<int>(generator() % 200) - 160));
        }
        data.series[1].name = u"with, \"quotes\""_s;
        const auto plot = shown(data);
        QTemporaryDir folder;
        const QString path = folder.filePath(u"data.csv"_s);
        QSignalSpy saved(plot->figureActions(), &FigureActions::saved);
        plot->figureActions()->save(path);
        QVERIFY(saved.wait());
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.readLine(), QByteArray("Rank,method 0,\"with, \"\"quotes\"\"\",method 2\n"));
        for (int row = 0; row < 200; ++row) {
            const QList<QByteArray> cells = file.readLine().trimmed().split(',');
            QCOMPARE(cells.size(), 4);
            QCOMPARE(cells[0].toDouble(), row + 1.0);
            for (int series = 0; series < 3; ++series)
                QVERIFY(cells[series + 1].toDouble() == data.series[series].points[row].y());
        }
        QVERIFY(file.atEnd());

        plot->setData(decay(200, 1));
        plot->setVisibleRange({50.5, 99.5, 0.0, 1.0});
        const QList<QByteArray> lines = plot->csv(true).trimmed().split('\n');
        QCOMPARE(lines.size(), 50);
        QVERIFY(lines[1].startsWith("51,"));
        QVERIFY(lines.back().startsWith("99,"));
        // Two points at one x cannot share a row.
        PlotData twice;
        twice.series.append({.name = u"a"_s, .points = {{1.0, 2.0}, {1.0, 3.0}}});
        plot->setData(twice);
        QCOMPARE(plot->csv(false), QByteArray("series,x,y\na,1,2\na,1,3\n"));
    }

    void savedFiguresHoldEverything()
    {
        PlotData data = decay(500, 2);
        data.shaded = QPair<double, double>(250.0, std::numeric_limits<double>::infinity());
        data.shadedLabel = u"beyond break-even"_s;
        QTemporaryDir folder;
        for (const QSize size : {QSize(500, 350), QSize(1400, 900)}) {
            const auto plot = shown(data, size);
            plot->setMarkers({{.id = 1, .x = 100.0, .label = u"rank 100"_s, .draggable = true}});
            const QString svg = folder.filePath(u"%1.svg"_s.arg(size.width()));
            const auto paint = [&](QPainter& painter, const QPalette& palette) { plot->paintFigure(painter, palette); };
            QCOMPARE(saveFigure(paint, size, data.title, svg), QString());
            QFile file(svg);
            QVERIFY(file.open(QIODevice::ReadOnly));
            const QByteArray bytes = file.readAll();
            const QStringList texts = svgTexts(bytes);
            for (const QString& text : {data.title, data.x.title, data.y.title, data.shadedLabel, u"method 0"_s,
                                        u"method 1"_s, u"rank 100"_s, u"1.0"_s, u"400"_s})
                QVERIFY2(texts.contains(text), qPrintable(text + u" missing in "_s + texts.join(u'|')));
            QVERIFY(!bytes.contains("<image"));

            QSignalSpy saved(plot->figureActions(), &FigureActions::saved);
            const QString png = folder.filePath(u"%1.png"_s.arg(size.width()));
            plot->figureActions()->save(png);
            QVERIFY(saved.wait());
            const QImage image(png);
            QCOMPARE(image.size(), 3 * size);
            QVERIFY(pixelsOf(image, seriesColour(0, false)) > 1000);
            QVERIFY(pixelsOf(image, seriesColour(1, false)) > 1000);
        }
    }

    void failedSaveIsToldAndLeavesTheFile()
    {
        QTemporaryDir folder;
        const auto paint = [](QPainter&, const QPalette&) {};
        const QString missing = folder.filePath(u"missing/figure.svg"_s);
        QVERIFY(saveFigure(paint, {10, 10}, {}, missing).contains(missing));
        QVERIFY(!saveFigure(paint, {10, 10}, {}, folder.filePath(u"figure.jpeg"_s)).isEmpty());
        const auto plot = shown(decay(10, 1));
        QSignalSpy failed(plot->figureActions(), &FigureActions::failed);
        plot->figureActions()->save(missing);
        QVERIFY(failed.wait());
        QVERIFY(failed[0].at(0).toString().contains(missing));
    }
};

QTEST_MAIN(TestPlotsData)
#include "tst_plots_data.moc"
