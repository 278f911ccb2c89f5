#include "core/training/training_options.h"

#include "core/base/error.h"
#include "core/base/value_by_name.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <random>

namespace rankwright {

std::string_view distillationInputsName(DistillationInputs inputs)
{
    switch (inputs) {
    case DistillationInputs::Teacher:
        return "teacher";
    case DistillationInputs::Student:
        return "student";
    case DistillationInputs::Joint:
        return "joint";
    }
    throw Error(ErrorKind::Internal, "unknown inputs of distillation");
}

DistillationInputs distillationInputsFromName(std::string_view name)
{
    return valueByName(std::array{DistillationInputs::Teacher, DistillationInputs::Student, DistillationInputs::Joint},
                       distillationInputsName, name, "inputs of distillation");
}

std::string_view recoveryTargetName(RecoveryTarget target)
{
    return target == RecoveryTarget::Text ? "text" : "teacher";
}

RecoveryTarget recoveryTargetFromName(std::string_view name)
{
    return valueByName(std::array{RecoveryTarget::Text, RecoveryTarget::Teacher}, recoveryTargetName, name,
                       "target of recovery");
}

WindowSplit::WindowSplit(std::size_t windows)
{
    if (windows < 2)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("training needs at least two windows, one of them held out; there are {}", windows));
    heldOut = std::clamp<std::size_t>(windows / 8, 1, 8);
    trained = windows - heldOut;
}

std::vector<std::vector<std::size_t>> trainingBatches(std::size_t windows, std::size_t batch, std::uint64_t seed,
                                                      std::size_t epoch)
{
    std::vector<std::size_t> order(windows);
    std::iota(order.begin(), order.end(), 0);
    std::seed_seq seeds{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U),
                        static_cast<std::uint32_t>(epoch)};
    std::mt19937_64 random(seeds);
    // Written out: std::shuffle is free to differ between libraries.
    for (std::size_t i = windows; i > 1; --i)
        std::swap(order[i - 1], order[random() % i]);
    std::vector<std::vector<std::size_t>> batches;
    for (std::size_t first = 0; first < windows; first += batch)
        batches.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(first),
                             order.begin() + static_cast<std::ptrdiff_t>(std::min(first + batch, windows)));
    return batches;
}

std::size_t trainingSteps(std::size_t windows, const TrainingOptions& options)
{
    return windows == 0 ? 0 : options.epochs * ((windows - 1) / options.batch + 1);
}

double learningRateAt(const TrainingOptions& options, std::size_t step, std::size_t steps)
{
    const std::size_t rising = std::max(steps / 10, std::min<std::size_t>(steps, 4));
    if (step < rising)
        return options.learningRate * static_cast<double>(step + 1) / static_cast<double>(rising);
    return options.learningRate * static_cast<double>(steps - step) / static_cast<double>(steps - rising + 1);
}

void validateTraining(const TrainingOptions& options, std::string_view what)
{
    const auto refuse = [&](const std::string& message) {
        throw Error(ErrorKind::InvalidArgument, fmt::format("{}: {}", what, message));
    };
    if (options.windows == 1)
        refuse("one window cannot be split into trained and held-out ones; take two or more");
    if (options.epochs == 0 || options.batch == 0)
        refuse("epochs and batch are at least 1");
    if (options.epochs > mostEpochs)
        refuse(fmt::format("{} epochs; at most {} can be counted", options.epochs, mostEpochs));
    if (!(options.learningRate > 0.0) || !std::isfinite(options.learningRate))
        refuse(fmt::format("learning rate {} is not above 0", options.learningRate));
    if (!(options.weightDecay >= 0.0) || !std::isfinite(options.weightDecay))
        refuse(fmt::format("weight decay {} is below 0", options.weightDecay));
}

} // namespace rankwright
