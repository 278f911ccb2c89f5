#pragma once

#include "core/experiment/linear_groups.h"

#include <span>
#include <vector>

namespace rankwright {

/// What an analysis says of one linear before any rank is chosen.
struct LinearSpectrum
{
    std::size_t linear = 0;             ///< LinearInfo::index
    LinearShape shape;                  ///< what has the rank: the linear, or all that share its latents
    std::vector<double> singularValues; ///< Analysis::singularValues(), min(m, n) of `shape`
    std::vector<double> loss; ///< at rank 0 .. min(m, n) of `shape`, in the measure of Analysis; of this linear alone
    std::vector<double> nats; ///< Analysis::curvatureCurve(), empty without gradients and in groups of GroupAnalysis
    bool exact = true;        ///< false: `loss` is the method's planning curve
    double totalEnergy = 0.0; ///< loss of rank 0: ||W X||_F^2, or ||W||_F^2 without statistics
    std::vector<NumericEvent> events; ///< `linear` is the linear's name
};

/// Reads and analyses one linear, where the method treats it in a group as the member of that group which is truncated
/// while the others stay whole, or as its part of linears that share their latents. `statistics` are those of
/// statisticsTap(), null for the weights alone. `exactCurve` asks for the loss of every rank also where the method has
/// a cheaper curve to plan with (nsvd). `gradients` are those of all linears (calibrateCurvature), for losses in nats;
/// they need `statistics` too. Throws as Method::analyze().
LinearSpectrum analyseLinear(const Model& model, const Device& device, const Method& method,
                             const MethodParameters& parameters, const LinearInfo& info,
                             const TapStatistics* statistics, bool exactCurve,
                             const CalibrationSet* gradients = nullptr);

/// analyseLinear() of all `linears`, in their order, on as many threads as half of the memory limit holds analyses for.
/// `statistics` are those of Model::taps(), null for the weights alone; `gradients` may be null. Progress has the stage
/// "analyse"; events are noted. Throws as analyseLinear(), and Error(Memory) naming the shape where one does not fit.
std::vector<LinearSpectrum> analyseLinears(const Model& model, const Device& device, const Method& method,
                                           const MethodParameters& parameters,
                                           std::span<const LinearInfo* const> linears, const CalibrationSet* statistics,
                                           const CalibrationSet* gradients, bool exactCurve, const PassOptions& options,
                                           const TaskContext& context);

/// Share of the sum of squares up to and with each value; all ones where every value is zero.
std::vector<double> cumulativeEnergy(std::span<const double> singularValues);

} // namespace rankwright
