#pragma once

#include "core/training/training_options.h"
#include "ui/plots/plot_data.h"

#include <QString>

#include <string>
#include <vector>

namespace rankwright::ui {

/// What is seen of the loss curves of a run: one part of one stage, or all parts of it beside each other.
struct TrainingChoice
{
    std::string stage;
    std::string part; ///< empty: all parts, or the whole model
    QString title;

    bool operator==(const TrainingChoice&) const = default;
};

/// "block 3" for "model.layers.3"; what is no block keeps its name.
QString partTitle(const std::string& part);

/// Every stage in the order they come, each with its parts where there are several.
std::vector<TrainingChoice> trainingChoices(const std::vector<TrainingPoint>& points);

/// Loss against step. Of one part the losses of the batches, and those of held-out windows, marked; of several parts
/// the losses of the batches, one series a part.
PlotData plotTraining(const std::vector<TrainingPoint>& points, const TrainingChoice& choice);

} // namespace rankwright::ui
