#pragma once

#include "core/compute/device.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

// The sum of the curvature losses of all linears, P in nats per token, is proportional to what compression costs, too
// small by a factor that differs little between ratios of one model (methods 31: 2.7 to 3.4). Measured runs tell that
// factor. With the increase D = ln(perplexity / dense perplexity), S = ln(vocabulary / dense perplexity) the increase
// of a model that knows nothing, and y = ln(-S ln(1 - D / S)), which is ln D for small D,
//     y = a + b ln(P / 0.1) + noise,
// a and b being sums of a part common to all models and parts of a model, of a text on that model, and of a method on
// that model, all Gaussian: y is a Gaussian process over runs, conditioned on those that were measured.

/// A run that was predicted and measured on a text.
struct ForecastPoint
{
    std::int64_t run = 0;
    std::string model;  ///< fingerprint of the weights
    std::string text;   ///< name of the evaluation
    std::string method; ///< name
    double nats = 0.0;  ///< predicted: the sum of curvatureLoss() over the linears
    double original = 0.0;
    double compressed = 0.0; ///< perplexities
    std::size_t vocabulary = 0;
};

/// What a forecast rests on: the nearest of the measured runs.
enum class ForecastBasis {
    Prior,       ///< no measured run: the factor of 3 that was met on SmolLM2-135M, between 1.2 and 7
    OtherModels, ///< runs of other models only
    OtherTexts,  ///< runs of this model on other texts
    Text         ///< runs of this model on this text
};
/// "prior", "otherModels", "otherTexts", "text".
std::string_view forecastBasisName(ForecastBasis basis);
/// Throws Error(InvalidArgument).
ForecastBasis forecastBasisFromName(std::string_view name);

/// A perplexity before it is measured. Never to be shown without basis and runs.
struct Forecast
{
    double perplexity = std::numeric_limits<double>::quiet_NaN(); ///< median
    double low = perplexity;                                      ///< 5 %
    double high = perplexity;                                     ///< 95 %
    ForecastBasis basis = ForecastBasis::Prior;
    std::size_t runs = 0; ///< measured runs of the basis
};
/// "calibrated by 7 runs on this text", "uncalibrated: ...": the sentence to show beside a forecast.
std::string forecastState(const Forecast& forecast);

/// Forecasts of one model with one method on one text. Cheap to ask (one product with the measured points), so that it
/// can follow a slider; may be asked by several threads.
class Forecaster
{
public:
    /// `dense` is the perplexity of the model as it is. Points without increase, of collapsed models (nine tenths of
    /// the way to knowing nothing) and with figures that are not finite say nothing about the factor and are left out;
    /// of the others the newest 400 count, those of this model first.
    Forecaster(std::vector<ForecastPoint> points, std::string model, std::string text, std::string method, double dense,
               std::size_t vocabulary);

    /// `nats` >= 0; NaN for a NaN, and where the dense perplexity is above the vocabulary: a model that knows less than
    /// nothing of a text has nothing to lose. 0 nats give the dense perplexity.
    Forecast at(double nats) const;

private:
    std::shared_ptr<const Device> m_device;
    std::vector<ForecastPoint> m_points;
    ForecastPoint m_target;
    ForecastBasis m_basis = ForecastBasis::Prior;
    std::size_t m_runs = 0;
    double m_ceiling = 0.0;        ///< S of the target
    double m_noise = 0.0;          ///< variance of y beside the process
    Matrix<double> m_factor;       ///< Cholesky factor of the points' covariance, lower
    std::vector<double> m_weights; ///< covariance^-1 (y - prior mean)
};

} // namespace rankwright
