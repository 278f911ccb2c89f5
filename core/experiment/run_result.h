#pragma once

#include "core/base/json.h"
#include "core/evaluation/evaluation.h"
#include "core/evaluation/forecast.h"
#include "core/structure/structure.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rankwright {

/// What became of one linear.
struct LinearOutcome
{
    std::string name;
    std::size_t rank = 0;
    StructureKind structure = StructureKind::Factors; ///< that it has in the end
    std::size_t entries = 0;                          ///< of a sparse S beside the factors
    bool left = false;         ///< nothing was put in its place; files of a run tell, of its store where Dense only
    std::size_t addedBias = 0; ///< values of a bias that the linear had not; not in keptParameters and the store
    std::size_t keptParameters = 0;
    std::size_t denseParameters = 0;
    double predictedLoss = 0.0; ///< of the analysis, before anything was stored
    double measuredLoss = 0.0;  ///< of the stored factors on the same statistics
    double totalEnergy = 0.0;   ///< ||W X||_F^2
    double heldOutError = -1.0; ///< relative output error on held-out windows, -1 where not measured
    /// Nats per token that the stored linear costs to second order (curvatureLoss); NaN where no gradients were taken.
    double nats = std::numeric_limits<double>::quiet_NaN();
    double seconds = 0.0;
    bool resumed = false; ///< taken from an earlier, cut-off run
    std::vector<std::string> notes;

    StoredRank stored() const { return {.structure = structure, .rank = rank, .entries = entries}; }
};

struct EvaluationOutcome
{
    std::string name;
    WindowOptions windows;
    PerplexityResult original;
    PerplexityResult compressed;
    std::optional<Forecast> forecast; ///< of `compressed`, made before it was measured, where gradients were taken
};

struct RunResult
{
    std::int64_t id = 0;
    std::string fingerprint;
    std::string modelFingerprint;
    std::string calibrationFingerprint; ///< empty where the method needs none
    std::filesystem::path folder;       ///< holds the compressed linears
    std::vector<LinearOutcome> linears;
    double keptRatio = 0.0;       ///< kept / dense parameters of the chosen linears
    double wholeModelRatio = 0.0; ///< kept / dense parameters of the whole model
    std::size_t parameters = 0;   ///< of the whole compressed model
    std::size_t bytes = 0;        ///< weights of the whole compressed model as stored
    /// Sum of LinearOutcome::nats, what forecasts start from; NaN where no gradients were taken.
    double predictedNats = std::numeric_limits<double>::quiet_NaN();
    std::size_t vocabulary = 0; ///< tokens that the model knows
    std::vector<EvaluationOutcome> evaluations;
    std::vector<NumericEvent> events;
    std::vector<std::pair<std::string, double>> stageSeconds;
    std::filesystem::path exportFolder;
    bool calibrationReused = false;
};

/// predictedLoss / totalEnergy; 0 for a linear without energy.
double relativePredictedLoss(const LinearOutcome& outcome);
/// measuredLoss / totalEnergy; 0 for a linear without energy.
double relativeMeasuredLoss(const LinearOutcome& outcome);
/// Square root of the share of the output energy that the stored factors lose.
double relativeError(const LinearOutcome& outcome);
/// Mean of relativePredictedLoss() over the linears, as PlanTotals::relativeLoss; NaN for none.
double meanPredictedLoss(std::span<const LinearOutcome> linears);

} // namespace rankwright
