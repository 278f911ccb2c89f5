#pragma once

#include "core/evaluation/forecast.h"

#include <span>
#include <vector>

namespace rankwright {

/// What a forecast of a measured run may not rest on.
enum class LeftOut {
    Run,  ///< that run
    Text, ///< any run of the model on that text, and that run
    Model ///< any run of that model
};
/// "run", "text", "model".
std::string_view leftOutName(LeftOut leftOut);

/// A measured run as it would have been forecast.
struct CheckedForecast
{
    ForecastPoint point;
    Forecast forecast;
};
/// In the order of the points. n points take about n^4 / 3 operations, of which the newest 400 count.
std::vector<CheckedForecast> checkForecasts(const std::vector<ForecastPoint>& points, LeftOut leftOut);

/// How forecasts agree with what was measured. Where the model as it is knows less than nothing of a text (perplexity
/// above the vocabulary) there is no forecast, and the run does not count.
struct ForecastErrors
{
    std::size_t count = 0;
    double median = 0.0;  ///< of |ln(forecast / measured)|
    double worst = 0.0;   ///< largest of these
    double covered = 0.0; ///< share of measured perplexities between low and high; 0.9 for an honest spread
    /// Spearman's, of forecast against measured perplexity over dense perplexity, mean over the models' texts weighed
    /// by their points; NaN where no text has three.
    double rankCorrelation = 0.0;
};
ForecastErrors forecastErrors(std::span<const CheckedForecast> checked);

} // namespace rankwright
