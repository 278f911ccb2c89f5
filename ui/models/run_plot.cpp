#include "ui/models/run_plot.h"

#include "core/decomposition/method.h"
#include "ui/session/text.h"
#include "ui/theme/colours.h"

#include <QCoreApplication>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
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

struct RunPlotTexts
{
    Q_DECLARE_TR_FUNCTIONS(RunPlotTexts)
};

double costOf(const RunSummary& run, RunCost cost, const std::string& text)
{
    switch (cost) {
    case RunCost::KeptRatio:
        return runNumber(run, RunColumn::KeptRatio, {});
    case RunCost::WholeModelRatio:
        return runNumber(run, RunColumn::WholeModelRatio, {});
    case RunCost::Bytes:
        return runNumber(run, RunColumn::Bytes, {}) / mebi;
    case RunCost::Forecast:
        return runNumber(run, RunColumn::Forecast, text);
    }
    return 0.0;
}

QString costTitle(RunCost cost)
{
    switch (cost) {
    case RunCost::KeptRatio:
        return RunPlotTexts::tr("kept parameters of the compressed linears");
    case RunCost::WholeModelRatio:
        return RunPlotTexts::tr("kept parameters of the whole model");
    case RunCost::Bytes:
        return RunPlotTexts::tr("weights as stored, MiB");
    case RunCost::Forecast:
        return RunPlotTexts::tr("forecast perplexity, with the range of nine of ten runs");
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

/// What forecasts rest on, in a line.
QString statesOf(const std::map<std::int64_t, Forecast>& forecasts)
{
    std::map<ForecastBasis, int> counts;
    for (const auto& [run, forecast] : forecasts)
        ++counts[forecast.basis];
    QStringList parts;
    for (const auto& [basis, count] : counts) {
        switch (basis) {
        case ForecastBasis::Prior:
            parts.append(RunPlotTexts::tr("%1 uncalibrated").arg(count));
            break;
        case ForecastBasis::OtherModels:
            parts.append(RunPlotTexts::tr("%1 calibrated by other models only").arg(count));
            break;
        case ForecastBasis::OtherTexts:
            parts.append(RunPlotTexts::tr("%1 by the same model on other texts").arg(count));
            break;
        case ForecastBasis::Text:
            parts.append(RunPlotTexts::tr("%1 by the same model and text").arg(count));
            break;
        }
    }
    return parts.isEmpty() ? RunPlotTexts::tr("Runs with gradients have a forecast: tick them in the recipe.")
                           : RunPlotTexts::tr("Forecasts: %1").arg(parts.join(u", "_s));
}

/// Where measured and forecast perplexity are equal.
PlotSeries diagonal(const std::vector<QPointF>& places)
{
    double least = std::numeric_limits<double>::infinity();
    double most = 0.0;
    for (const QPointF& place : places) {
        least = std::min({least, place.x(), place.y()});
        most = std::max({most, place.x(), place.y()});
    }
    return {.name = RunPlotTexts::tr("as forecast"),
            .points = {{least, least}, {most, most}},
            .colour = selectedColour - 1,
            .markers = false,
            .line = true,
            .dashed = true};
}

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
    plot.against = cost;
    plot.data.x.title = costTitle(cost);
    plot.data.y.logarithmic = true;
    plot.data.x.logarithmic = cost == RunCost::Forecast;
    std::map<std::pair<std::string, std::string>, std::vector<Point>> groups;
    std::vector<Point> all;
    std::set<std::string> models;
    std::set<std::string> texts;
    for (int row = 0; row < view.size() && !stop.stop_requested(); ++row) {
        const RunSummary& run = view.run(row);
        const Point point{{costOf(run, cost, view.query.text), runNumber(run, RunColumn::Compressed, view.query.text)},
                          run.id};
        if (!std::isfinite(point.place.x()) || !std::isfinite(point.place.y()))
            continue;
        all.push_back(point);
        models.insert(run.model);
        const RunPerplexity* measured = perplexityOf(run, view.query.text);
        texts.insert(measured->text);
        if (measured->forecast && std::isfinite(measured->forecast->perplexity))
            plot.forecasts.emplace(run.id, *measured->forecast);
        groups[{run.model, run.method}].push_back(point);
    }
    plot.severalModels = models.size() > 1;
    plot.data.y.title = texts.size() == 1 ? RunPlotTexts::tr("perplexity on %1").arg(toQString(*texts.begin()))
                                          : RunPlotTexts::tr("perplexity, on the first text of each run");
    for (auto& [key, points] : groups) {
        std::ranges::stable_sort(points, {}, [](const Point& p) { return std::pair(p.place.x(), p.place.y()); });
        QString name = toQString(key.second);
        if (plot.severalModels)
            name = RunPlotTexts::tr("%1, %2").arg(toQString(std::filesystem::path(key.first).filename()), name);
        PlotSeries series{.name = name,
                          .points = {},
                          .colour = colourOf(key.second),
                          .markers = true,
                          .line = cost != RunCost::Forecast && points.size() <= mostOfALine,
                          .dashed = false};
        if (cost == RunCost::Forecast)
            for (const Point& point : points) {
                const Forecast& forecast = plot.forecasts.at(point.run);
                series.bars.append(QLineF(forecast.low, point.place.y(), forecast.high, point.place.y()));
            }
        append(plot, std::move(series), points);
    }
    std::vector<QPointF> places;
    places.reserve(all.size());
    for (const Point& point : all)
        places.push_back(point.place);
    if (cost == RunCost::Forecast) {
        plot.note = statesOf(plot.forecasts);
        if (!places.empty())
            append(plot, diagonal(places), {});
    } else if (plot.severalModels) {
        plot.note = RunPlotTexts::tr("Filter for one model to see the Pareto front.");
    } else if (all.size() > 1) {
        std::vector<Point> front;
        for (const std::size_t i : paretoFront(places))
            front.push_back(all[i]);
        append(plot,
               {.name = RunPlotTexts::tr("Pareto front"),
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
    if (marked.empty())
        return;
    if (plot.against != RunCost::Forecast) {
        std::vector<Point> forecast;
        QVector<QLineF> bars;
        for (const Point& point : marked)
            if (const auto found = plot.forecasts.find(point.run); found != plot.forecasts.end()) {
                const double x = point.place.x();
                forecast.push_back({{x, found->second.perplexity}, point.run});
                bars.append(QLineF(x, found->second.low, x, found->second.high));
            }
        if (!forecast.empty())
            append(plot,
                   {.name = RunPlotTexts::tr("forecast of selected"),
                    .points = {},
                    .colour = selectedColour - 1,
                    .markers = true,
                    .line = false,
                    .dashed = false,
                    .bars = bars},
                   forecast);
    }
    append(plot,
           {.name = RunPlotTexts::tr("selected"),
            .points = {},
            .colour = selectedColour,
            .markers = true,
            .line = false,
            .dashed = false},
           marked);
}

} // namespace rankwright::ui
