#include "app/cli/run_comparison.h"

#include "app/cli/output.h"
#include "app/cli/run_report.h"
#include "core/base/bytes.h"
#include "core/experiment/run_comparison.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>

namespace rankwright::cli {

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double compressedPerplexity(const EvaluationOutcome* evaluation)
{
    return evaluation != nullptr ? evaluation->compressed.perplexity : unknown;
}

/// {a, b} of something of two linears, null where a run has none.
template <typename Get>
Json both(const ComparedLinear& linear, const Get& get)
{
    const auto value = [&](const LinearOutcome* outcome) { return outcome != nullptr ? Json(get(*outcome)) : Json(); };
    return {{"a", value(linear.of[0])}, {"b", value(linear.of[1])}};
}

template <typename Get>
std::string cell(const LinearOutcome* outcome, const Get& get)
{
    return outcome != nullptr ? get(*outcome) : "-";
}

std::string rankCell(const LinearOutcome* outcome)
{
    return cell(outcome, [](const LinearOutcome& o) {
        return o.structure == StructureKind::Dense ? std::string("dense") : std::to_string(o.rank);
    });
}

std::string errorCell(const LinearOutcome* outcome)
{
    return cell(outcome, [](const LinearOutcome& o) { return fmt::format("{:.4f}", relativeError(o)); });
}

std::string linearTable(const std::vector<ComparedLinear>& linears)
{
    Table table(
        {{"linear", Table::Align::Left}, {"rank A"}, {"rank B"}, {"rel. error A"}, {"rel. error B"}, {"B - A"}});
    for (const ComparedLinear& linear : linears) {
        if (!differs(linear))
            continue;
        const LinearOutcome* a = linear.of[0];
        const LinearOutcome* b = linear.of[1];
        table.row({linear.name, rankCell(a), rankCell(b), errorCell(a), errorCell(b),
                   a != nullptr && b != nullptr ? fmt::format("{:+.4f}", relativeError(*b) - relativeError(*a)) : ""});
    }
    return table.text();
}

} // namespace

Json comparisonToJson(const RunRecord& a, const RunRecord& b)
{
    const std::array runs{&a, &b};
    Json recipe = Json::array();
    for (const RecipeDifference& difference : recipeDifferences(std::array{&a.recipe, &b.recipe}))
        recipe.push_back({{"key", difference.key}, {"a", difference.values[0]}, {"b", difference.values[1]}});
    Json perplexities = Json::array();
    for (const ComparedEvaluation& pair : comparedEvaluations(runs)) {
        const EvaluationOutcome& either = pair.of[0] != nullptr ? *pair.of[0] : *pair.of[1];
        perplexities.push_back({{"text", pair.name},
                                {"sameWindows", sameWindows(pair)},
                                {"original", either.original.perplexity},
                                {"a", compressedPerplexity(pair.of[0])},
                                {"b", compressedPerplexity(pair.of[1])}});
    }
    Json linears = Json::array();
    for (const ComparedLinear& pair : comparedLinears(runs))
        linears.push_back({{"name", pair.name},
                           {"rank", both(pair, [](const LinearOutcome& o) { return o.rank; })},
                           {"structure", both(pair, [](const LinearOutcome& o) { return structureName(o.structure); })},
                           {"keptParameters", both(pair, [](const LinearOutcome& o) { return o.keptParameters; })},
                           {"relativeError", both(pair, [](const LinearOutcome& o) { return relativeError(o); })},
                           {"measuredLoss", both(pair, [](const LinearOutcome& o) { return o.measuredLoss; })}});
    return {
        {"a", summaryToJson(a.summary)}, {"b", summaryToJson(b.summary)},           {"sameModel", sameModel(runs)},
        {"recipe", std::move(recipe)},   {"perplexities", std::move(perplexities)}, {"linears", std::move(linears)}};
}

std::string comparisonToText(const RunRecord& a, const RunRecord& b, bool everyLinear)
{
    const std::array runs{&a, &b};
    Table table({{"", Table::Align::Left},
                 {fmt::format("A: run {}", a.summary.id), Table::Align::Left},
                 {fmt::format("B: run {}", b.summary.id), Table::Align::Left}});
    for (const RecipeDifference& difference : recipeDifferences(std::array{&a.recipe, &b.recipe})) {
        const auto text = [](const Json& value) {
            if (value.is_null())
                return std::string("-");
            return shortened(value.is_string() ? value.get<std::string>() : dumpJson(value), 48);
        };
        table.row({difference.key, text(difference.values[0]), text(difference.values[1])});
    }
    const auto row = [&](const std::string& name, const auto& get) { table.row({name, get(a), get(b)}); };
    row("state", [](const RunRecord& r) { return std::string(runStateName(r.summary.state)); });
    row("kept of the linears", [](const RunRecord& r) { return percent(r.result.keptRatio); });
    row("kept of the model", [](const RunRecord& r) { return percent(r.result.wholeModelRatio); });
    row("parameters", [](const RunRecord& r) { return grouped(r.result.parameters); });
    row("weights", [](const RunRecord& r) { return formatBytes(r.result.bytes); });
    row("time", [](const RunRecord& r) { return duration(r.summary.seconds); });
    for (const ComparedEvaluation& pair : comparedEvaluations(runs)) {
        const bool comparable = pair.of[0] == nullptr || pair.of[1] == nullptr || sameWindows(pair);
        table.row({fmt::format("perplexity on {}{}", pair.name, comparable ? "" : " (not the same windows)"),
                   perplexityText(compressedPerplexity(pair.of[0])), perplexityText(compressedPerplexity(pair.of[1]))});
    }
    std::string text = table.text();
    if (!sameModel(runs))
        text += "\nThe two runs compress different weights.\n";
    const std::vector<ComparedLinear> linears = comparedLinears(runs);
    const auto differing = std::ranges::count_if(linears, differs);
    if (differing == 0)
        return text + fmt::format("\nAll {} linears are equal.\n", linears.size());
    if (everyLinear)
        return text + '\n' + linearTable(linears);
    return text + fmt::format("\n{} of {} linears differ; --linears lists them\n", differing, linears.size());
}

} // namespace rankwright::cli
