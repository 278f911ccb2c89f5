#include "ui/plots/plot_table.h"

#include "ui/plots/plot_export.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

QVector<QPointF> pointsIn(const PlotSeries& series, const std::optional<PlotRange>& range)
{
    if (!range)
        return series.points;
    QVector<QPointF> inside;
    std::copy_if(series.points.begin(), series.points.end(), std::back_inserter(inside),
                 [&range](const QPointF& point) {
                     return point.x() >= range->xLower && point.x() <= range->xUpper && point.y() >= range->yLower &&
                            point.y() <= range->yUpper;
                 });
    return inside;
}

bool eachOnce(QVector<QPointF> points)
{
    if (std::any_of(points.begin(), points.end(), [](const QPointF& point) { return !std::isfinite(point.x()); }))
        return false;
    std::sort(points.begin(), points.end(), [](const QPointF& a, const QPointF& b) { return a.x() < b.x(); });
    // Not QPointF's own comparison, which allows for rounding.
    return std::adjacent_find(points.begin(), points.end(),
                              [](const QPointF& a, const QPointF& b) { return !(a.x() < b.x()); }) == points.end();
}

QString nameOr(const QString& name, const QString& otherwise)
{
    return name.isEmpty() ? otherwise : name;
}

} // namespace

QByteArray plotTable(const PlotData& data, const std::optional<PlotRange>& range)
{
    QVector<QVector<QPointF>> columns;
    for (const PlotSeries& series : data.series)
        columns.append(pointsIn(series, range));
    const QString x = nameOr(data.x.title, u"x"_s);
    const QString y = nameOr(data.y.title, u"y"_s);

    QByteArray table;
    if (!std::all_of(columns.begin(), columns.end(), [](const QVector<QPointF>& points) { return eachOnce(points); })) {
        table += csvLine({u"series"_s, x, y});
        for (qsizetype series = 0; series < columns.size(); ++series) {
            for (const QPointF& point : std::as_const(columns[series]))
                table += csvLine({data.series[series].name, point.x(), point.y()});
        }
        return table;
    }

    QVector<CsvCell> header{x};
    std::map<double, QVector<CsvCell>> rows;
    for (qsizetype series = 0; series < columns.size(); ++series) {
        header.append(nameOr(data.series[series].name, y));
        for (const QPointF& point : std::as_const(columns[series])) {
            QVector<CsvCell>& row = rows[point.x()];
            row.resize(columns.size() + 1, QString());
            row[0] = point.x();
            row[series + 1] = point.y();
        }
    }
    table += csvLine(header);
    for (const auto& [position, row] : rows)
        table += csvLine(row);
    return table;
}

} // namespace rankwright::ui
