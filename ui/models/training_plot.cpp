#include "ui/models/training_plot.h"

#include "ui/session/text.h"

#include <QCoreApplication>

#include <algorithm>
#include <cmath>
#include <map>

namespace rankwright::ui {

namespace {

struct TrainingPlotTexts
{
    Q_DECLARE_TR_FUNCTIONS(TrainingPlotTexts)
};

QString stageTitle(const std::string& stage)
{
    if (stage == "distill")
        return TrainingPlotTexts::tr("Distillation");
    return stage == "recover" ? TrainingPlotTexts::tr("Recovery") : toQString(stage);
}

/// Names in the order of their first point.
template <typename Name>
std::vector<std::string> namesOf(const std::vector<TrainingPoint>& points, const Name& name)
{
    std::vector<std::string> names;
    for (const TrainingPoint& point : points)
        if (const auto found = name(point); found && std::ranges::find(names, *found) == names.end())
            names.push_back(*found);
    return names;
}

std::vector<std::string> partsOf(const std::vector<TrainingPoint>& points, const std::string& stage)
{
    return namesOf(points, [&](const TrainingPoint& point) { return point.stage == stage ? &point.part : nullptr; });
}

PlotSeries curve(const std::vector<TrainingPoint>& points, const TrainingChoice& choice, double TrainingPoint::*loss,
                 const QString& name, bool markers)
{
    PlotSeries series{.name = name, .points = {}, .markers = markers, .dashed = markers};
    for (const TrainingPoint& point : points)
        if (point.stage == choice.stage && point.part == choice.part && std::isfinite(point.*loss))
            series.points.append(QPointF(static_cast<double>(point.step), point.*loss));
    return series;
}

} // namespace

QString partTitle(const std::string& part)
{
    const QString name = toQString(part);
    bool isNumber = false;
    const int block = name.section(u'.', -1).toInt(&isNumber);
    return isNumber ? TrainingPlotTexts::tr("block %1").arg(block) : name;
}

std::vector<TrainingChoice> trainingChoices(const std::vector<TrainingPoint>& points)
{
    std::vector<TrainingChoice> choices;
    for (const std::string& stage : namesOf(points, [](const TrainingPoint& point) { return &point.stage; })) {
        const std::vector<std::string> parts = partsOf(points, stage);
        choices.push_back({stage, parts.size() > 1 ? std::string() : parts.front(), stageTitle(stage)});
        if (parts.size() > 1)
            for (const std::string& part : parts)
                choices.push_back(
                    {stage, part, TrainingPlotTexts::tr("%1, %2").arg(stageTitle(stage), partTitle(part))});
    }
    return choices;
}

PlotData plotTraining(const std::vector<TrainingPoint>& points, const TrainingChoice& choice)
{
    PlotData data;
    data.x.title = TrainingPlotTexts::tr("step");
    data.x.integer = true;
    data.y.title = choice.stage == "recover" ? TrainingPlotTexts::tr("loss, nats per token")
                                             : TrainingPlotTexts::tr("loss of the block");
    data.y.logarithmic = true;
    const std::vector<std::string> parts = partsOf(points, choice.stage);
    if (choice.part.empty() && parts.size() > 1) {
        for (const std::string& part : parts)
            data.series.append(curve(points, {choice.stage, part, {}}, &TrainingPoint::loss, partTitle(part), false));
        return data;
    }
    data.series.append(curve(points, choice, &TrainingPoint::loss, TrainingPlotTexts::tr("batches"), false));
    data.series.append(
        curve(points, choice, &TrainingPoint::heldOutLoss, TrainingPlotTexts::tr("held-out windows"), true));
    return data;
}

} // namespace rankwright::ui
