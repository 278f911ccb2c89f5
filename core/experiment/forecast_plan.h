#pragma once

#include "core/evaluation/forecast.h"
#include "core/experiment/runner.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rankwright {

/// The points of finished runs, given newest first; of a recipe that was run several times (equal fingerprint) the
/// latest.
std::vector<ForecastPoint> forecastPoints(std::span<const RunSummary> runs);
/// Those of all runs of a store.
std::vector<ForecastPoint> forecastPoints(const Store& store);

/// What a recipe would give at one ratio.
struct PlannedForecast
{
    double targetKeptRatio = 0.0;
    double keptRatio = 0.0;
    double wholeModelRatio = 0.0;
    std::size_t bytes = 0;                                      ///< weights of the whole compressed model as stored
    double nats = 0.0;                                          ///< predicted cost, sum over the linears
    std::vector<std::pair<std::string, Forecast>> perplexities; ///< by the recipe's evaluations
};

/// Before any run: calibrates, takes gradients and analyses every chosen linear once, then plans every ratio (the one
/// of the recipe is not looked at) and forecasts the perplexity on the recipe's evaluations, whose dense perplexity is
/// measured where the store has none. Sequential modes are forecast as dense ones. Records no run. Throws as
/// runRecipe(), and Error(InvalidArgument) for a method that treats linears in groups, whose losses in nats are not
/// known before.
std::vector<PlannedForecast> forecastRecipe(Recipe recipe, std::span<const double> keptRatios, Store& store,
                                            const RunPlaces& places, const TaskContext& context);

} // namespace rankwright
