#include "app/cli/run_comparison.h"

#include "app/cli/output.h"
#include "app/cli/run_report.h"
#include "core/base/bytes.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace rankwright::cli {

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

struct Difference
{
    std::string key;
    Json a, b;
};

/// Leaves of two JSON values that differ, by their paths.
void collectDifferences(const std::string& path, const Json& a, const Json& b, std::vector<Difference>& differences)
{
    if (a == b)
        return;
    if (!a.is_object() || !b.is_object()) {
        differences.push_back({path, a, b});
        return;
    }
    const auto inside = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
    for (const auto& item : a.items())
        collectDifferences(inside(item.key()), item.value(), b.value(item.key(), Json()), differences);
    for (const auto& item : b.items())
        if (!a.contains(item.key()))
            collectDifferences(inside(item.key()), Json(), item.value(), differences);
}

std::vector<Difference> recipeDifferences(const RunRecord& a, const RunRecord& b)
{
    std::vector<Difference> differences;
    collectDifferences({}, a.recipe, b.recipe, differences);
    return differences;
}

/// What two runs have under one name; null where a run has none.
template <typename Outcome>
struct Pair
{
    std::string name;
    const Outcome* a = nullptr;
    const Outcome* b = nullptr;
};
using TextPair = Pair<EvaluationOutcome>;
using LinearPair = Pair<LinearOutcome>;

/// In the order of `a`, then those of `b` alone.
template <typename Outcome>
std::vector<Pair<Outcome>> pairsByName(const std::vector<Outcome>& a, const std::vector<Outcome>& b)
{
    std::vector<Pair<Outcome>> pairs;
    pairs.reserve(a.size());
    for (const Outcome& outcome : a)
        pairs.push_back({outcome.name, &outcome, nullptr});
    for (const Outcome& outcome : b) {
        const auto found = std::ranges::find(pairs, outcome.name, &Pair<Outcome>::name);
        if (found != pairs.end())
            found->b = &outcome;
        else
            pairs.push_back({outcome.name, nullptr, &outcome});
    }
    return pairs;
}

/// Whether the two perplexities are of the same tokens.
bool sameWindows(const TextPair& pair)
{
    return pair.a != nullptr && pair.b != nullptr && pair.a->original.windowNll == pair.b->original.windowNll;
}

bool differs(const LinearPair& pair)
{
    return pair.a == nullptr || pair.b == nullptr || pair.a->rank != pair.b->rank ||
           pair.a->structure != pair.b->structure || pair.a->measuredLoss != pair.b->measuredLoss;
}

double compressedPerplexity(const EvaluationOutcome* evaluation)
{
    return evaluation != nullptr ? evaluation->compressed.perplexity : unknown;
}

/// {a, b} of something of two linears, null where a run has none.
template <typename Get>
Json both(const LinearPair& pair, const Get& get)
{
    return {{"a", pair.a != nullptr ? Json(get(*pair.a)) : Json()},
            {"b", pair.b != nullptr ? Json(get(*pair.b)) : Json()}};
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

std::string linearTable(const std::vector<LinearPair>& pairs)
{
    Table table(
        {{"linear", Table::Align::Left}, {"rank A"}, {"rank B"}, {"rel. error A"}, {"rel. error B"}, {"B - A"}});
    for (const LinearPair& pair : pairs) {
        if (!differs(pair))
            continue;
        const bool two = pair.a != nullptr && pair.b != nullptr;
        table.row({pair.name, rankCell(pair.a), rankCell(pair.b), errorCell(pair.a), errorCell(pair.b),
                   two ? fmt::format("{:+.4f}", relativeError(*pair.b) - relativeError(*pair.a)) : ""});
    }
    return table.text();
}

} // namespace

Json comparisonToJson(const RunRecord& a, const RunRecord& b)
{
    Json recipe = Json::array();
    for (const Difference& difference : recipeDifferences(a, b))
        recipe.push_back({{"key", difference.key}, {"a", difference.a}, {"b", difference.b}});
    Json perplexities = Json::array();
    for (const TextPair& pair : pairsByName(a.result.evaluations, b.result.evaluations)) {
        const EvaluationOutcome& either = pair.a != nullptr ? *pair.a : *pair.b;
        perplexities.push_back({{"text", pair.name},
                                {"sameWindows", sameWindows(pair)},
                                {"original", either.original.perplexity},
                                {"a", compressedPerplexity(pair.a)},
                                {"b", compressedPerplexity(pair.b)}});
    }
    Json linears = Json::array();
    for (const LinearPair& pair : pairsByName(a.result.linears, b.result.linears))
        linears.push_back({{"name", pair.name},
                           {"rank", both(pair, [](const LinearOutcome& o) { return o.rank; })},
                           {"structure", both(pair, [](const LinearOutcome& o) { return structureName(o.structure); })},
                           {"keptParameters", both(pair, [](const LinearOutcome& o) { return o.keptParameters; })},
                           {"relativeError", both(pair, [](const LinearOutcome& o) { return relativeError(o); })},
                           {"measuredLoss", both(pair, [](const LinearOutcome& o) { return o.measuredLoss; })}});
    return {{"a", summaryToJson(a.summary)},
            {"b", summaryToJson(b.summary)},
            {"sameModel", a.result.modelFingerprint == b.result.modelFingerprint},
            {"recipe", std::move(recipe)},
            {"perplexities", std::move(perplexities)},
            {"linears", std::move(linears)}};
}

std::string comparisonToText(const RunRecord& a, const RunRecord& b, bool everyLinear)
{
    Table table({{"", Table::Align::Left},
                 {fmt::format("A: run {}", a.summary.id), Table::Align::Left},
                 {fmt::format("B: run {}", b.summary.id), Table::Align::Left}});
    for (const Difference& difference : recipeDifferences(a, b)) {
        const auto text = [](const Json& value) {
            if (value.is_null())
                return std::string("-");
            return shortened(value.is_string() ? value.get<std::string>() : dumpJson(value), 48);
        };
        table.row({difference.key, text(difference.a), text(difference.b)});
    }
    const auto row = [&](const std::string& name, const auto& get) { table.row({name, get(a), get(b)}); };
    row("state", [](const RunRecord& r) { return std::string(runStateName(r.summary.state)); });
    row("kept of the linears", [](const RunRecord& r) { return percent(r.result.keptRatio); });
    row("kept of the model", [](const RunRecord& r) { return percent(r.result.wholeModelRatio); });
    row("parameters", [](const RunRecord& r) { return grouped(r.result.parameters); });
    row("weights", [](const RunRecord& r) { return formatBytes(r.result.bytes); });
    row("time", [](const RunRecord& r) { return duration(r.summary.seconds); });
    for (const TextPair& pair : pairsByName(a.result.evaluations, b.result.evaluations)) {
        const bool comparable = pair.a == nullptr || pair.b == nullptr || sameWindows(pair);
        table.row({fmt::format("perplexity on {}{}", pair.name, comparable ? "" : " (not the same windows)"),
                   perplexityText(compressedPerplexity(pair.a)), perplexityText(compressedPerplexity(pair.b))});
    }
    std::string text = table.text();
    if (a.result.modelFingerprint != b.result.modelFingerprint)
        text += "\nThe two runs compress different weights.\n";
    const std::vector<LinearPair> pairs = pairsByName(a.result.linears, b.result.linears);
    const auto differing = std::ranges::count_if(pairs, differs);
    if (differing == 0)
        return text + fmt::format("\nAll {} linears are equal.\n", pairs.size());
    if (everyLinear)
        return text + '\n' + linearTable(pairs);
    return text + fmt::format("\n{} of {} linears differ; --linears lists them\n", differing, pairs.size());
}

} // namespace rankwright::cli
