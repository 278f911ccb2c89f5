#pragma once

#include "ui/plots/plot_widget.h"

#include <QImage>
#include <QTest>

#include <cmath>
#include <limits>
#include <memory>
#include <random>

namespace rankwright::ui {

inline constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();

inline PlotData decay(int points, int curves)
{
    PlotData data;
    data.title = QStringLiteral("Loss against rank");
    data.x.title = QStringLiteral("Rank");
    data.x.integer = true;
    data.y.title = QStringLiteral("Relative loss");
    for (int curve = 0; curve < curves; ++curve) {
        PlotSeries series;
        series.name = QStringLiteral("method %1").arg(curve);
        for (int rank = 1; rank <= points; ++rank)
            series.points.append({static_cast<double>(rank), std::exp(-(2.0 + curve) * rank / points)});
        data.series.append(series);
    }
    return data;
}

/// Points at random places, in no order.
inline QVector<QPointF> scattered(int count, unsigned seed)
{
    std::mt19937 generator(seed);
    std::uniform_real_distribution<double> place(-3.0, 7.0);
    QVector<QPointF> points;
    for (int index = 0; index < count; ++index)
        points.append({place(generator), place(generator)});
    return points;
}

inline std::unique_ptr<PlotWidget> shown(const PlotData& data, QSize size = {640, 420})
{
    auto plot = std::make_unique<PlotWidget>();
    plot->resize(size);
    plot->setData(data);
    plot->show();
    plot->activateWindow();
    plot->setFocus();
    if (!QTest::qWaitForWindowExposed(plot.get()))
        qWarning("the plot was not exposed");
    return plot;
}

inline bool near(double a, double b, double tolerance)
{
    return std::abs(a - b) <= tolerance;
}

inline int pixelsOf(const QImage& image, const QColor& colour)
{
    int count = 0;
    for (int y = 0; y < image.height(); ++y)
        for (int x = 0; x < image.width(); ++x)
            count += image.pixel(x, y) == colour.rgb() ? 1 : 0;
    return count;
}

} // namespace rankwright::ui
