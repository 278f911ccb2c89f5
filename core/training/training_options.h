#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// How factors are trained by AdamW. The learning rate rises over a tenth of the steps, four at least, and then falls
/// to zero, both linearly.
struct TrainingOptions
{
    std::size_t windows = 0; ///< of the calibration text, from its start; 0: the calibration windows
    std::size_t epochs = 1;  ///< passes over these windows
    std::size_t batch = 8;   ///< windows per step
    double learningRate = 1e-5;
    double weightDecay = 0.01;
    std::uint64_t seed = 0; ///< of the order of windows

    bool operator==(const TrainingOptions&) const = default;
};

/// Whose hidden states enter a student block (methods 3.3).
enum class DistillationInputs {
    Teacher, ///< the original model's: blocks do not depend on each other
    Student, ///< those of the compressed blocks before
    Joint    ///< both; their losses are added
};
/// "teacher", "student", "joint".
std::string_view distillationInputsName(DistillationInputs inputs);
/// Throws Error(InvalidArgument) listing the known names.
DistillationInputs distillationInputsFromName(std::string_view name);

struct DistillationOptions
{
    DistillationInputs inputs = DistillationInputs::Joint;
    TrainingOptions training;

    bool operator==(const DistillationOptions&) const = default;
};

/// What the factors of a whole model learn to predict.
enum class RecoveryTarget {
    Text,   ///< the next token of the text
    Teacher ///< the original model's distribution of the next token
};
/// "text", "teacher".
std::string_view recoveryTargetName(RecoveryTarget target);
/// Throws Error(InvalidArgument) listing the known names.
RecoveryTarget recoveryTargetFromName(std::string_view name);

struct RecoveryOptions
{
    RecoveryTarget target = RecoveryTarget::Text;
    TrainingOptions training;

    bool operator==(const RecoveryOptions&) const = default;
};

/// One point of a loss curve.
struct TrainingPoint
{
    std::string stage;                                      ///< "distill" or "recover"
    std::string part;                                       ///< "model.layers.3", or empty for the whole model
    std::size_t step = 0;                                   ///< steps done
    std::size_t steps = 0;                                  ///< in all
    double loss = std::numeric_limits<double>::quiet_NaN(); ///< of the last batch; NaN: none
    double heldOutLoss =
        std::numeric_limits<double>::quiet_NaN(); ///< of windows that are not trained on; NaN: not taken
};
/// Calls come from any thread.
using TrainingObserver = std::function<void(const TrainingPoint& point)>;

/// Which windows are trained on: the last eighth of `windows`, at least one and at most eight, is held out, to choose
/// among the states of a training by. Throws Error(InvalidArgument) below two windows.
struct WindowSplit
{
    explicit WindowSplit(std::size_t windows);
    std::size_t trained = 0;
    std::size_t heldOut = 0;
};

/// The batches of an epoch: positions below `windows`, shuffled anew for every (seed, epoch).
std::vector<std::vector<std::size_t>> trainingBatches(std::size_t windows, std::size_t batch, std::uint64_t seed,
                                                      std::size_t epoch);
/// Steps of all epochs.
std::size_t trainingSteps(std::size_t windows, const TrainingOptions& options);
/// Learning rate of step 0 .. steps - 1.
double learningRateAt(const TrainingOptions& options, std::size_t step, std::size_t steps);
/// More are refused, so that steps and operations can be counted.
inline constexpr std::size_t mostEpochs = 1'000'000;
/// Throws Error(InvalidArgument) naming `what` for values that mean nothing, and beyond mostEpochs.
void validateTraining(const TrainingOptions& options, std::string_view what);

/// After this many steps were undone, each halving the learning rate, a training ends.
inline constexpr std::size_t mostUndoneSteps = 8;

} // namespace rankwright
