#include "app/cli/run_report.h"

#include "app/cli/output.h"
#include "app/cli/run_notes.h"
#include "core/base/bytes.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

namespace rankwright::cli {

namespace {

Json linearToJson(const LinearOutcome& outcome)
{
    return {{"name", outcome.name},
            {"rank", outcome.rank},
            {"structure", structureName(outcome.structure)},
            {"sparseEntries", outcome.entries},
            {"keptParameters", outcome.keptParameters},
            {"denseParameters", outcome.denseParameters},
            {"predictedLoss", outcome.predictedLoss},
            {"measuredLoss", outcome.measuredLoss},
            {"totalEnergy", outcome.totalEnergy},
            {"relativeLoss", relativeMeasuredLoss(outcome)},
            {"relativeError", relativeError(outcome)},
            {"heldOutError", outcome.heldOutError >= 0.0 ? Json(outcome.heldOutError) : Json()},
            {"nats", outcome.nats},
            {"seconds", outcome.seconds},
            {"resumed", outcome.resumed},
            {"notes", outcome.notes}};
}

Json evaluationToJson(const EvaluationOutcome& evaluation)
{
    return {{"name", evaluation.name},
            {"text", evaluation.windows.text.string()},
            {"rows", evaluation.windows.rows},
            {"window", evaluation.compressed.windowLength},
            {"windows", evaluation.compressed.windows},
            {"predictedTokens", evaluation.compressed.predictedTokens},
            {"original", evaluation.original.perplexity},
            {"compressed", evaluation.compressed.perplexity},
            {"forecast", evaluation.forecast ? forecastToJson(*evaluation.forecast) : Json()},
            {"originalNll", evaluation.original.windowNll},
            {"compressedNll", evaluation.compressed.windowNll}};
}

/// The part of a linear's name after its block: "self_attn.q_proj".
std::string nameInBlock(const std::string& name)
{
    std::size_t at = name.find("layers.");
    at = at == std::string::npos ? at : name.find('.', at + 7);
    return at == std::string::npos ? name : name.substr(at + 1);
}

std::string linearTable(const std::vector<LinearOutcome>& linears)
{
    Table table({{"linear", Table::Align::Left},
                 {"stored as", Table::Align::Left},
                 {"rank"},
                 {"parameters"},
                 {"kept"},
                 {"predicted loss"},
                 {"measured loss"},
                 {"rel. error"},
                 {"held-out"},
                 {"notes", Table::Align::Left}});
    for (const LinearOutcome& outcome : linears) {
        std::string notes;
        for (const std::string& note : outcome.notes)
            notes += (notes.empty() ? "" : "; ") + note;
        std::string stored(structureName(outcome.structure));
        if (outcome.entries > 0)
            stored += fmt::format(" + {} sparse", grouped(outcome.entries));
        table.row({outcome.name, stored, std::to_string(outcome.rank), grouped(outcome.keptParameters),
                   percent(static_cast<double>(outcome.keptParameters) / static_cast<double>(outcome.denseParameters)),
                   fmt::format("{:.6g}", outcome.predictedLoss), fmt::format("{:.6g}", outcome.measuredLoss),
                   fmt::format("{:.4f}", relativeError(outcome)),
                   outcome.heldOutError >= 0.0 ? fmt::format("{:.4f}", outcome.heldOutError) : "", notes});
    }
    return table.text();
}

std::string roleTable(const std::vector<LinearOutcome>& linears)
{
    struct Group
    {
        std::size_t count = 0, dense = 0, kept = 0, all = 0, lowRank = SIZE_MAX, highRank = 0, heldOutCount = 0;
        double low = HUGE_VAL, high = 0.0, sum = 0.0, heldOut = 0.0;
    };
    std::vector<std::string> order;
    std::map<std::string, Group> groups;
    for (const LinearOutcome& outcome : linears) {
        const std::string name = nameInBlock(outcome.name);
        if (!groups.contains(name))
            order.push_back(name);
        Group& group = groups[name];
        ++group.count;
        group.dense += outcome.structure == StructureKind::Dense ? 1 : 0;
        group.kept += outcome.keptParameters;
        group.all += outcome.denseParameters;
        group.lowRank = std::min(group.lowRank, outcome.rank);
        group.highRank = std::max(group.highRank, outcome.rank);
        const double error = relativeError(outcome);
        group.low = std::min(group.low, error);
        group.high = std::max(group.high, error);
        group.sum += error;
        if (outcome.heldOutError >= 0.0) {
            ++group.heldOutCount;
            group.heldOut += outcome.heldOutError;
        }
    }
    Table table({{"linears", Table::Align::Left},
                 {"count"},
                 {"left dense"},
                 {"rank"},
                 {"parameters"},
                 {"kept"},
                 {"mean rel. error"},
                 {"from-to"},
                 {"held-out"}});
    for (const std::string& name : order) {
        const Group& group = groups[name];
        const auto count = static_cast<double>(group.count);
        table.row({name, std::to_string(group.count), group.dense > 0 ? std::to_string(group.dense) : "",
                   rangeText(std::to_string(group.lowRank), std::to_string(group.highRank)), grouped(group.kept),
                   percent(static_cast<double>(group.kept) / static_cast<double>(group.all)),
                   fmt::format("{:.4f}", group.sum / count),
                   rangeText(fmt::format("{:.4f}", group.low), fmt::format("{:.4f}", group.high)),
                   group.heldOutCount > 0
                       ? fmt::format("{:.4f}", group.heldOut / static_cast<double>(group.heldOutCount))
                       : ""});
    }
    return table.text();
}

/// "31.2 (28.4-34.9)".
std::string forecastText(const Forecast& forecast)
{
    return fmt::format("{} ({})", perplexityText(forecast.perplexity),
                       rangeText(perplexityText(forecast.low), perplexityText(forecast.high)));
}

std::string evaluationTable(const std::vector<EvaluationOutcome>& evaluations)
{
    Table table({{"perplexity on", Table::Align::Left},
                 {"windows"},
                 {"original"},
                 {"forecast (90 % range)"},
                 {"compressed"},
                 {"ratio"}});
    std::string states;
    for (const EvaluationOutcome& evaluation : evaluations) {
        const std::optional<Forecast>& forecast = evaluation.forecast;
        table.row({evaluation.name,
                   fmt::format("{} x {}", evaluation.compressed.windows, evaluation.compressed.windowLength),
                   perplexityText(evaluation.original.perplexity), forecast ? forecastText(*forecast) : "",
                   perplexityText(evaluation.compressed.perplexity),
                   fmt::format("{:.3f}", evaluation.compressed.perplexity / evaluation.original.perplexity)});
        if (forecast)
            states += fmt::format("forecast on {}: {}\n", oneLine(evaluation.name), forecastState(*forecast));
    }
    return table.text() + (states.empty() ? "" : '\n' + states);
}

} // namespace

std::string perplexityText(double perplexity)
{
    return std::isfinite(perplexity) ? fmt::format("{:.6g}", perplexity) : "-";
}

Json forecastToJson(const Forecast& forecast)
{
    return {{"perplexity", forecast.perplexity},          {"low", forecast.low},   {"high", forecast.high},
            {"basis", forecastBasisName(forecast.basis)}, {"runs", forecast.runs}, {"state", forecastState(forecast)}};
}

Json cacheToJson(const CacheWidth& cache)
{
    return {{"valuesPerToken", cache.expanded},
            {"bytesPerToken", cache.expanded * sizeof(float)},
            {"latentValuesPerToken", cache.latent},
            {"latentBytesPerToken", cache.latent * sizeof(float)}};
}

Json summaryToJson(const RunSummary& summary)
{
    Json perplexities = Json::array();
    for (const RunPerplexity& measured : summary.perplexities)
        perplexities.push_back({{"text", measured.text},
                                {"original", measured.original},
                                {"compressed", measured.compressed},
                                {"forecast", measured.forecast ? forecastToJson(*measured.forecast) : Json()}});
    return {{"runId", summary.id},
            {"state", runStateName(summary.state)},
            {"name", summary.name},
            {"model", summary.model},
            {"method", summary.method},
            {"allocation", summary.allocation},
            {"structure", summary.structure},
            {"sequential", summary.sequential},
            {"targetKeptRatio", summary.targetKeptRatio},
            {"keptRatio", summary.keptRatio},
            {"wholeModelRatio", summary.wholeModelRatio},
            {"bytes", summary.bytes},
            {"predictedNats", summary.predictedNats},
            {"fingerprint", summary.fingerprint},
            {"started", summary.started},
            {"finished", summary.finished},
            {"totalSeconds", summary.seconds},
            {"error", summary.error},
            {"tags", summary.tags},
            {"notes", summary.notes},
            {"perplexities", std::move(perplexities)}};
}

Json eventsToJson(const std::vector<NumericEvent>& events)
{
    Json json = Json::array();
    for (const NumericEvent& event : events)
        json.push_back(
            {{"kind", event.kind}, {"linear", event.linear}, {"message", event.message}, {"value", event.value}});
    return json;
}

Json resultToJson(const RunResult& result)
{
    Json linears = Json::array();
    for (const LinearOutcome& outcome : result.linears)
        linears.push_back(linearToJson(outcome));
    Json evaluations = Json::array();
    for (const EvaluationOutcome& evaluation : result.evaluations)
        evaluations.push_back(evaluationToJson(evaluation));
    Json seconds = Json::object();
    for (const auto& [stage, value] : result.stageSeconds)
        seconds[stage] = value;
    Json perplexity;
    if (!result.evaluations.empty())
        perplexity = {{"original", result.evaluations.front().original.perplexity},
                      {"compressed", result.evaluations.front().compressed.perplexity}};
    return {{"runId", result.id},
            {"fingerprint", result.fingerprint},
            {"modelFingerprint", result.modelFingerprint},
            {"calibrationFingerprint", result.calibrationFingerprint},
            {"calibrationReused", result.calibrationReused},
            {"keptRatio", result.keptRatio},
            {"wholeModelRatio", result.wholeModelRatio},
            {"parameters", result.parameters},
            {"bytes", result.bytes},
            {"predictedNats", result.predictedNats},
            {"meanPredictedLoss", result.linears.empty() ? Json() : Json(meanPredictedLoss(result.linears))},
            {"perplexity", std::move(perplexity)},
            {"evaluations", std::move(evaluations)},
            {"seconds", std::move(seconds)},
            {"folder", result.folder.string()},
            {"exportFolder", result.exportFolder.empty() ? Json() : Json(result.exportFolder.string())},
            {"events", eventsToJson(result.events)},
            {"linears", std::move(linears)}};
}

std::string stagesText(const std::vector<std::pair<std::string, double>>& stageSeconds)
{
    double seconds = 0.0;
    std::string stages;
    for (const auto& [stage, value] : stageSeconds) {
        seconds += value;
        if (value >= 0.05)
            stages += fmt::format("{}{} {}", stages.empty() ? " (" : ", ", stage, duration(value));
    }
    return duration(seconds) + stages + (stages.empty() ? "" : ")");
}

std::string memoryText(std::size_t bytes, std::size_t limit)
{
    return formatBytes(bytes) +
           (limit == 0 || bytes <= limit ? "" : fmt::format(", more than the limit of {}", formatBytes(limit)));
}

std::string commandToText(const std::string& command)
{
    return oneLine(command) == command ? command : "(the command holds what a terminal cannot show; --json gives it)";
}

std::string lossTotal(const Method& method, const MethodParameters& parameters, bool calibrated)
{
    if (method.needsGradients())
        return "the nats of rank 0";
    if (!calibrated)
        return "the energy of the weights";
    std::string joint;
    // Groups that share latents have the losses of their linears.
    for (const std::vector<Role>& roles : method.sharesLatents() ? std::vector<std::vector<Role>>() : method.groups())
        joint +=
            fmt::format("{}{} with {}: of the {}", joint.empty() ? " (" : "; ", roleName(roles.front()),
                        roleName(roles.back()), roles.front() == Role::Q ? "attention logits" : "paths of the heads");
    return (updatesBias(method, parameters) ? "the energy of the centred outputs" : "the output energy") + joint +
           (joint.empty() ? "" : ")");
}

std::string lossTotal(const Recipe& recipe)
{
    return lossTotal(findMethod(recipe.method), recipe.parameters, recipe.calibration.has_value());
}

std::string resultToText(const RunResult& result, bool everyLinear, const std::string& total,
                         std::vector<std::pair<std::string, std::string>> lines)
{
    std::size_t resumed = 0;
    for (const LinearOutcome& outcome : result.linears)
        resumed += outcome.resumed ? 1 : 0;
    // A run that did not end has no totals.
    if (result.parameters > 0) {
        lines.emplace_back("kept", fmt::format("{} of the parameters of {} linears, {} of the whole model",
                                               percent(result.keptRatio), result.linears.size(),
                                               percent(result.wholeModelRatio)));
        lines.emplace_back(
            "size", fmt::format("{} parameters, {} of weights", grouped(result.parameters), formatBytes(result.bytes)));
        if (std::isfinite(result.predictedNats))
            lines.emplace_back("curvature", fmt::format("{:.4g} nats per token predicted to second order, sum over the "
                                                        "linears",
                                                        result.predictedNats));
        lines.emplace_back("loss", fmt::format("{:.4f} of {} predicted, mean over the linears",
                                               meanPredictedLoss(result.linears), total));
        for (auto& note : runNotes(result.events))
            lines.push_back(std::move(note));
    }
    if (!result.stageSeconds.empty())
        lines.emplace_back("time", stagesText(result.stageSeconds));
    if (resumed > 0)
        lines.emplace_back("taken over",
                           fmt::format("{} of {} linears from an earlier run", resumed, result.linears.size()));
    if (!result.exportFolder.empty())
        lines.emplace_back("exported to", result.exportFolder.string());
    std::string text = facts(lines);
    if (!result.evaluations.empty())
        text += '\n' + evaluationTable(result.evaluations);
    if (!result.linears.empty())
        text += '\n' + (everyLinear ? linearTable(result.linears) : roleTable(result.linears));
    return text;
}

} // namespace rankwright::cli
