#pragma once

#include "ui/plots/plot_data.h"

#include <QByteArray>

#include <optional>

namespace rankwright::ui {

/// The numbers of a plot as comma-separated values, with a header line. One column of x and one per series, empty where
/// a series has no such x; where some series has an x twice, or one that is not finite: series, x, y. With a range only
/// what lies in it.
QByteArray plotTable(const PlotData& data, const std::optional<PlotRange>& range = std::nullopt);

} // namespace rankwright::ui
