#include "core/experiment/run_result.h"

#include <algorithm>
#include <cmath>

namespace rankwright {

double relativePredictedLoss(const LinearOutcome& outcome)
{
    return outcome.totalEnergy > 0.0 ? outcome.predictedLoss / outcome.totalEnergy : 0.0;
}

double relativeMeasuredLoss(const LinearOutcome& outcome)
{
    return outcome.totalEnergy > 0.0 ? outcome.measuredLoss / outcome.totalEnergy : 0.0;
}

double relativeError(const LinearOutcome& outcome)
{
    return std::sqrt(std::max(relativeMeasuredLoss(outcome), 0.0));
}

double meanPredictedLoss(std::span<const LinearOutcome> linears)
{
    double sum = 0.0;
    for (const LinearOutcome& outcome : linears)
        sum += relativePredictedLoss(outcome);
    return sum / static_cast<double>(linears.size());
}

} // namespace rankwright
