#include "core/evaluation/forecast_check.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace rankwright {

namespace {

bool leavesOut(LeftOut leftOut, const ForecastPoint& point, const ForecastPoint& target)
{
    if (leftOut == LeftOut::Model)
        return point.model == target.model;
    return point.run == target.run ||
           (leftOut == LeftOut::Text && point.model == target.model && point.text == target.text);
}

/// Ranks from 0, equal values sharing the mean of theirs.
std::vector<double> ranksOf(const std::vector<double>& values)
{
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
    std::vector<double> ranks(values.size());
    for (std::size_t first = 0; first < order.size();) {
        std::size_t last = first;
        while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]])
            ++last;
        for (std::size_t i = first; i <= last; ++i)
            ranks[order[i]] = 0.5 * static_cast<double>(first + last);
        first = last + 1;
    }
    return ranks;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b)
{
    const std::vector<double> x = ranksOf(a);
    const std::vector<double> y = ranksOf(b);
    const double mean = 0.5 * static_cast<double>(a.size() - 1);
    double xy = 0.0;
    double xx = 0.0;
    double yy = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        xy += (x[i] - mean) * (y[i] - mean);
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
    }
    return xy / std::sqrt(xx * yy);
}

} // namespace

std::string_view leftOutName(LeftOut leftOut)
{
    switch (leftOut) {
    case LeftOut::Run:
        return "run";
    case LeftOut::Text:
        return "text";
    case LeftOut::Model:
        return "model";
    }
    return "unknown";
}

std::vector<CheckedForecast> checkForecasts(const std::vector<ForecastPoint>& points, LeftOut leftOut)
{
    std::vector<CheckedForecast> checked;
    checked.reserve(points.size());
    for (const ForecastPoint& target : points) {
        std::vector<ForecastPoint> others = points;
        std::erase_if(others, [&](const ForecastPoint& point) { return leavesOut(leftOut, point, target); });
        const Forecaster forecaster(std::move(others), target.model, target.text, target.method, target.original,
                                    target.vocabulary);
        checked.push_back({target, forecaster.at(target.nats)});
    }
    return checked;
}

ForecastErrors forecastErrors(std::span<const CheckedForecast> checked)
{
    ForecastErrors errors;
    std::vector<double> distances;
    std::map<std::pair<std::string, std::string>, std::pair<std::vector<double>, std::vector<double>>> byText;
    for (const auto& [point, forecast] : checked) {
        const double distance = std::abs(std::log(forecast.perplexity / point.compressed));
        if (!std::isfinite(distance))
            continue;
        distances.push_back(distance);
        if (forecast.low <= point.compressed && point.compressed <= forecast.high)
            errors.covered += 1.0;
        auto& [forecasts, measurements] = byText[{point.model, point.text}];
        forecasts.push_back(forecast.perplexity / point.original);
        measurements.push_back(point.compressed / point.original);
    }
    errors.count = distances.size();
    if (distances.empty())
        return errors;
    errors.covered /= static_cast<double>(errors.count);
    std::ranges::sort(distances);
    const std::size_t half = distances.size() / 2;
    errors.median = distances.size() % 2 == 1 ? distances[half] : 0.5 * (distances[half - 1] + distances[half]);
    errors.worst = distances.back();
    double weight = 0.0;
    for (const auto& [text, values] : byText) {
        if (values.first.size() < 3)
            continue;
        errors.rankCorrelation += spearman(values.first, values.second) * static_cast<double>(values.first.size());
        weight += static_cast<double>(values.first.size());
    }
    errors.rankCorrelation /= weight; // NaN for 0 / 0, as said
    return errors;
}

} // namespace rankwright
