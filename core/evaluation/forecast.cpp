#include "core/evaluation/forecast.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

namespace rankwright {

namespace {

constexpr double usualNats = 0.1;
/// Prior of the factor, and standard deviations of the parts of a (offset) and b (slope, around 1).
constexpr double usualFactor = 3.0;
struct Spread
{
    double offset = 0.0;
    double slope = 0.0;
};
constexpr Spread common{0.5, 0.1};
constexpr Spread ofModel{0.3, 0.1};
constexpr Spread ofText{0.4, 0.1};
constexpr Spread ofMethod{0.3, 0.1};
/// Candidates for the standard deviation of y beside these; the likeliest is taken, and without points the middle one.
constexpr std::array noises{0.05, 0.1, 0.2, 0.4};
constexpr double usualNoise = 0.2;
constexpr std::size_t mostPoints = 400;
constexpr double collapsed = 0.9;                 // of the ceiling
constexpr double toQuantile = 1.6448536269514722; // of a Gaussian, 5 and 95 %

double ceilingOf(double dense, std::size_t vocabulary)
{
    return std::log(static_cast<double>(vocabulary) / dense);
}

double logNats(double nats)
{
    return std::log(nats / usualNats);
}

double priorMean(double nats)
{
    return std::log(usualFactor * usualNats) + logNats(nats);
}

double measured(const ForecastPoint& point)
{
    const double ceiling = ceilingOf(point.original, point.vocabulary);
    return std::log(-ceiling * std::log1p(-std::log(point.compressed / point.original) / ceiling));
}

bool tellsFactor(const ForecastPoint& point)
{
    if (!std::isfinite(point.nats) || !std::isfinite(point.original) || !std::isfinite(point.compressed) ||
        point.nats <= 0.0 || point.original < 1.0)
        return false;
    const double ceiling = ceilingOf(point.original, point.vocabulary);
    return ceiling > 0.0 && point.compressed > point.original &&
           std::log(point.compressed / point.original) < collapsed * ceiling;
}

double covariance(const ForecastPoint& a, const ForecastPoint& b)
{
    const double x = logNats(a.nats) * logNats(b.nats);
    const auto part = [x](const Spread& spread) {
        return spread.offset * spread.offset + spread.slope * spread.slope * x;
    };
    double result = part(common);
    if (a.model == b.model) {
        result += part(ofModel);
        if (a.text == b.text)
            result += part(ofText);
        if (a.method == b.method)
            result += part(ofMethod);
    }
    return result;
}

/// L^-1 b or L^-T b, in place.
void solve(const Device& device, Transpose transposeL, const Matrix<double>& L, std::vector<double>& b)
{
    if (!b.empty())
        device.solveLower(transposeL, L, {b.data(), b.size(), 1, 1});
}

} // namespace

std::string_view forecastBasisName(ForecastBasis basis)
{
    switch (basis) {
    case ForecastBasis::Prior:
        return "prior";
    case ForecastBasis::OtherModels:
        return "otherModels";
    case ForecastBasis::OtherTexts:
        return "otherTexts";
    case ForecastBasis::Text:
        return "text";
    }
    return "unknown";
}

ForecastBasis forecastBasisFromName(std::string_view name)
{
    for (const ForecastBasis basis :
         {ForecastBasis::Prior, ForecastBasis::OtherModels, ForecastBasis::OtherTexts, ForecastBasis::Text})
        if (name == forecastBasisName(basis))
            return basis;
    throw Error(ErrorKind::InvalidArgument, fmt::format("unknown basis of a forecast '{}'", name));
}

std::string forecastState(const Forecast& forecast)
{
    const std::string runs = fmt::format("{} measured run{}", forecast.runs, forecast.runs == 1 ? "" : "s");
    switch (forecast.basis) {
    case ForecastBasis::Prior:
        return "uncalibrated: no measured run yet";
    case ForecastBasis::OtherModels:
        return fmt::format("calibrated by {} of other models only", runs);
    case ForecastBasis::OtherTexts:
        return fmt::format("calibrated by {} of this model on other texts", runs);
    case ForecastBasis::Text:
        return fmt::format("calibrated by {} of this model on this text", runs);
    }
    return {};
}

Forecaster::Forecaster(std::vector<ForecastPoint> points, std::string model, std::string text, std::string method,
                       double dense, std::size_t vocabulary)
    : m_device(openDevice("cpu", 1))
    , m_points(std::move(points))
    , m_target{.model = std::move(model),
               .text = std::move(text),
               .method = std::move(method),
               .original = dense,
               .vocabulary = vocabulary}
    , m_ceiling(ceilingOf(dense, vocabulary))
    , m_noise(usualNoise * usualNoise)
{
    std::erase_if(m_points, [](const ForecastPoint& point) { return !tellsFactor(point); });
    std::ranges::sort(m_points, [&](const ForecastPoint& a, const ForecastPoint& b) {
        return std::tuple(a.model != m_target.model, -a.run, std::string_view(a.text)) <
               std::tuple(b.model != m_target.model, -b.run, std::string_view(b.text));
    });
    m_points.resize(std::min(m_points.size(), mostPoints));
    std::map<ForecastBasis, std::set<std::int64_t>> runs;
    for (const ForecastPoint& point : m_points)
        runs[point.model != m_target.model ? ForecastBasis::OtherModels
             : point.text != m_target.text ? ForecastBasis::OtherTexts
                                           : ForecastBasis::Text]
            .insert(point.run);
    if (runs.empty())
        return;
    m_basis = runs.rbegin()->first;
    m_runs = runs.rbegin()->second.size();

    const std::size_t count = m_points.size();
    Matrix<double> covariances(count, count);
    std::vector<double> surprise(count);
    for (std::size_t i = 0; i < count; ++i) {
        surprise[i] = measured(m_points[i]) - priorMean(m_points[i].nats);
        for (std::size_t j = 0; j < count; ++j)
            covariances(i, j) = covariance(m_points[i], m_points[j]);
    }
    double best = -std::numeric_limits<double>::infinity();
    for (const double noise : noises) {
        Matrix<double> factor = covariances;
        for (std::size_t i = 0; i < count; ++i)
            factor(i, i) += noise * noise;
        factor = m_device->cholesky(std::move(factor));
        std::vector<double> weights = surprise;
        solve(*m_device, Transpose::No, factor, weights);
        double likelihood = 0.0; // its logarithm, without the constant
        for (std::size_t i = 0; i < count; ++i)
            likelihood -= 0.5 * weights[i] * weights[i] + std::log(factor(i, i));
        // One or two points cannot tell noise from offset: the usual noise is worth as much as three of them.
        const double away = std::log(noise / usualNoise);
        likelihood -= 1.5 * away * away;
        if (likelihood > best) {
            best = likelihood;
            solve(*m_device, Transpose::Yes, factor, weights);
            m_noise = noise * noise;
            m_factor = std::move(factor);
            m_weights = std::move(weights);
        }
    }
}

Forecast Forecaster::at(double nats) const
{
    Forecast forecast;
    forecast.basis = m_basis;
    forecast.runs = m_runs;
    if (!(nats >= 0.0) || !(m_ceiling > 0.0))
        return forecast;
    ForecastPoint target = m_target;
    target.nats = nats;
    if (nats == 0.0) {
        forecast.perplexity = forecast.low = forecast.high = target.original;
        return forecast;
    }
    double mean = priorMean(nats);
    std::vector<double> shared(m_points.size());
    for (std::size_t i = 0; i < m_points.size(); ++i) {
        shared[i] = covariance(target, m_points[i]);
        mean += shared[i] * m_weights[i];
    }
    solve(*m_device, Transpose::No, m_factor, shared);
    double variance = covariance(target, target) + m_noise;
    for (const double value : shared)
        variance -= value * value;
    const double deviation = toQuantile * std::sqrt(std::max(variance, 0.0));
    const auto perplexity = [&](double y) {
        return target.original * std::exp(-m_ceiling * std::expm1(-std::exp(y) / m_ceiling));
    };
    forecast.perplexity = perplexity(mean);
    forecast.low = perplexity(mean - deviation);
    forecast.high = perplexity(mean + deviation);
    return forecast;
}

} // namespace rankwright
