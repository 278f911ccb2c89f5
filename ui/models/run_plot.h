#pragma once

#include "ui/models/run_query.h"
#include "ui/plots/plot_data.h"

#include <span>
#include <stop_token>
#include <vector>

namespace rankwright::ui {

/// What runs are drawn against.
enum class RunCost { KeptRatio, WholeModelRatio, Bytes };

/// Positions of the points that no other point beats: none has both coordinates at most as large and one smaller. Of
/// equal points the first. Ascending in x. Points that are not finite are left out. O(n log n).
std::vector<std::size_t> paretoFront(std::span<const QPointF> points);

/// Cost against compressed perplexity of shown runs, with the runs behind the points.
struct RunPlot
{
    PlotData data;
    std::vector<std::vector<std::int64_t>> runs; ///< by series and point
    bool severalModels = false;                  ///< then there is no front

    /// 0 for no such point.
    std::int64_t runAt(int series, int point) const;
};

/// One series a method (and a model, where there are several), in the order of the cost; the Pareto front dashed.
RunPlot plotRuns(const RunView& view, RunCost cost, const std::stop_token& stop);
/// Adds a series with the given runs, told from the others; nothing where none of them is drawn.
void markRuns(RunPlot& plot, const std::vector<std::int64_t>& runs);

} // namespace rankwright::ui
