#pragma once

#include "ui/models/run_query.h"
#include "ui/plots/plot_data.h"

#include <map>
#include <span>
#include <stop_token>
#include <vector>

namespace rankwright::ui {

/// What measured perplexities are drawn against.
enum class RunCost {
    KeptRatio,
    WholeModelRatio,
    Bytes,
    Forecast ///< the perplexity that was forecast before the run was measured
};

/// Positions of the points that no other point beats: none has both coordinates at most as large and one smaller. Of
/// equal points the first. Ascending in x. Points that are not finite are left out. O(n log n).
std::vector<std::size_t> paretoFront(std::span<const QPointF> points);

/// Compressed perplexity of shown runs against what they cost, or what was forecast, with the runs behind the points.
struct RunPlot
{
    PlotData data;
    RunCost against = RunCost::KeptRatio;
    std::vector<std::vector<std::int64_t>> runs; ///< by series and point
    std::map<std::int64_t, Forecast> forecasts;  ///< of the drawn runs that have one
    bool severalModels = false;                  ///< then there is no front
    QString note;                                ///< what is to be known of the whole plot; may be empty

    /// 0 for no such point.
    std::int64_t runAt(int series, int point) const;
};

/// One series a method (and a model, where there are several), in the order of the cost; the Pareto front dashed.
/// Against forecasts there are no lines but the dashed one where both are equal, and bars over the range of each
/// forecast.
RunPlot plotRuns(const RunView& view, RunCost cost, const std::stop_token& stop);
/// Adds a series with the given runs, told from the others, and before it one with their forecasts where these are not
/// an axis; nothing where none of the runs is drawn.
void markRuns(RunPlot& plot, const std::vector<std::int64_t>& runs);

} // namespace rankwright::ui
