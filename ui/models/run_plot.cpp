#include "ui/models/run_plot.h"

#include "core/decomposition/method.h"
#include "ui/session/text.h"
#include "ui/theme/colours.h"

#include <QCoreApplication>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// A line through more points than this is a scribble.
constexpr std::size_t mostOfALine = 60;
constexpr double mebi = 1024.0 * 1024.0;
/// Kept for the runs that are selected; its marker is a star.
constexpr int selectedColour = seriesColourCount - 1;

QString tr(const char* text)
{
    return QCoreApplication::translate("RunsPanel", text);
}

double costOf(const RunSummary& run, RunCost cost)
{
    switch (cost) {
    case RunCost::KeptRatio:
        return runNumber(run, RunColumn::KeptRatio, {});
    case RunCost::WholeModelRatio:
        return runNumber(run, RunColumn::WholeModelRatio, {});
    case RunCost::Bytes:
        return runNumber(run, RunColumn::Bytes, {}) / mebi;
    }
    return 0.0;
}

QString costTitle(RunCost cost)
{
    switch (cost) {
    case RunCost::KeptRatio:
        return tr("kept parameters of the compressed linears");
    case RunCost::WholeModelRatio:
        return tr("kept parameters of the whole model");
    case RunCost::Bytes:
        return tr("weights as stored, MiB");
    }
    return {};
}

/// The same method has the same colour whatever else is shown.
int colourOf(const std::string& method)
{
    const auto& known = methods();
    const auto found = std::ranges::find_if(known, [&](const Method* other) { return other->name() == method; });
    return static_cast<int>(found - known.begin()) % selectedColour;
}

struct Point
{
    QPointF place;
    std::int64_t run = 0;
};

void append(RunPlot& plot, PlotSeries series, const std::vector<Point>& points)
{
    std::vector<std::int64_t> runs;
    runs.reserve(points.size());
    series.points.reserve(static_cast<qsizetype>(points.size()));
    for (const Point& point : points) {
        series.points.append(point.place);
        runs.push_back(point.run);
    }
    plot.data.series.append(std::move(series));
    plot.runs.push_back(std::move(runs));
}

} // namespace

std::vector<std::size_t> paretoFront(std::span<const QPointF> points)
{
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < points.size(); ++i)
        if (std::isfinite(points[i].x()) && std::isfinite(points[i].y()))
            order.push_back(i);
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return std::pair(points[i].x(), points[i].y()); });
    std::vector<std::size_t> front;
    for (const std::size_t i : order)
        if (front.empty() || points[i].y() < points[front.back()].y())
            front.push_back(i);
    return front;
}

std::int64_t RunPlot::runAt(int series, int point) const
{
    if (series < 0 || series >= static_cast<int>(runs.size()))
        return 0;
    const auto& ofSeries = runs[static_cast<std::size_t>(series)];
    return point < 0 || point >= static_cast<int>(ofSeries.size()) ? 0 : ofSeries[static_cast<std::size_t>(point)];
}

RunPlot plotRuns(const RunView& view, RunCost cost, const std::stop_token& stop)
{
    RunPlot plot;
    plot.data.x.title = costTitle(cost);
    plot.data.y.logarithmic = true;
    std::map<std::pair<std::string, std::string>, std::vector<Point>> groups;
    std::vector<Point> all;
    std::set<std::string> models;
    std::set<std::string> texts;
    for (int row = 0; row < view.size() && !stop.stop_requested(); ++row) {
        const RunSummary& run = view.run(row);
        const Point point{{costOf(run, cost), runNumber(run, RunColumn::Compressed, view.query.text)}, run.id};
        if (!std::isfinite(point.place.x()) || !std::isfinite(point.place.y()))
            continue;
        all.push_back(point);
        models.insert(run.model);
        texts.insert(perplexitiesOf(run, view.query.text)->first);
        groups[{run.model, run.method}].push_back(point);
    }
    plot.severalModels = models.size() > 1;
    plot.data.y.title = texts.size() == 1 ? tr("perplexity on %1").arg(toQString(*texts.begin()))
                                          : tr("perplexity, on the first text of each run");
    for (auto& [key, points] : groups) {
        std::ranges::stable_sort(points, {}, [](const Point& p) { return std::pair(p.place.x(), p.place.y()); });
        QString name = toQString(key.second);
        if (plot.severalModels)
            name = tr("%1, %2").arg(toQString(std::filesystem::path(key.first).filename()), name);
        const bool line = points.size() <= mostOfALine;
        append(plot,
               {.name = name,
                .points = {},
                .colour = colourOf(key.second),
                .markers = true,
                .line = line,
                .dashed = false},
               points);
    }
    if (!plot.severalModels && all.size() > 1) {
        std::vector<QPointF> places;
        places.reserve(all.size());
        for (const Point& point : all)
            places.push_back(point.place);
        std::vector<Point> front;
        for (const std::size_t i : paretoFront(places))
            front.push_back(all[i]);
        append(plot,
               {.name = tr("Pareto front"),
                .points = {},
                .colour = selectedColour - 1,
                .markers = false,
                .line = true,
                .dashed = true},
               front);
    }
    return plot;
}

void markRuns(RunPlot& plot, const std::vector<std::int64_t>& runs)
{
    const std::set<std::int64_t> wanted(runs.begin(), runs.end());
    std::vector<Point> marked;
    std::set<std::int64_t> seen;
    for (std::size_t series = 0; series < plot.runs.size(); ++series)
        for (std::size_t i = 0; i < plot.runs[series].size(); ++i)
            if (const std::int64_t run = plot.runs[series][i]; wanted.contains(run) && seen.insert(run).second)
                marked.push_back(
                    {plot.data.series[static_cast<qsizetype>(series)].points[static_cast<qsizetype>(i)], run});
    if (!marked.empty())
        append(plot,
               {.name = tr("selected"),
                .points = {},
                .colour = selectedColour,
                .markers = true,
                .line = false,
                .dashed = false},
               marked);
}

} // namespace rankwright::ui
