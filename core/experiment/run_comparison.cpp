#include "core/experiment/run_comparison.h"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

namespace rankwright {

namespace {

/// Leaves of JSON values that differ, by their paths.
void collect(const std::string& path, const std::vector<const Json*>& values,
             std::vector<RecipeDifference>& differences)
{
    if (std::ranges::all_of(values, [&](const Json* value) { return *value == *values.front(); }))
        return;
    if (!std::ranges::all_of(values, [](const Json* value) { return value->is_object(); })) {
        RecipeDifference difference{.key = path, .values = {}};
        for (const Json* value : values)
            difference.values.push_back(*value);
        differences.push_back(std::move(difference));
        return;
    }
    std::vector<std::string> keys;
    for (const Json* value : values)
        for (const auto& item : value->items())
            if (std::ranges::find(keys, item.key()) == keys.end())
                keys.push_back(item.key());
    static const Json nothing;
    for (const std::string& key : keys) {
        std::vector<const Json*> inside;
        for (const Json* value : values) {
            const auto found = value->find(key);
            inside.push_back(found == value->end() ? &nothing : &*found);
        }
        collect(path.empty() ? key : fmt::format("{}.{}", path, key), inside, differences);
    }
}

template <typename Outcome, typename Get>
std::vector<ComparedOutcomes<Outcome>> byName(std::span<const RunRecord* const> runs, const Get& outcomesOf)
{
    std::vector<ComparedOutcomes<Outcome>> compared;
    std::unordered_map<std::string, std::size_t> places;
    for (std::size_t run = 0; run < runs.size(); ++run) {
        for (const Outcome& outcome : outcomesOf(*runs[run])) {
            const auto [place, fresh] = places.try_emplace(outcome.name, compared.size());
            if (fresh)
                compared.push_back({outcome.name, std::vector<const Outcome*>(runs.size(), nullptr)});
            compared[place->second].of[run] = &outcome;
        }
    }
    return compared;
}

} // namespace

std::vector<RecipeDifference> recipeDifferences(std::span<const Json* const> recipes)
{
    std::vector<RecipeDifference> differences;
    if (!recipes.empty())
        collect({}, {recipes.begin(), recipes.end()}, differences);
    return differences;
}

std::vector<ComparedLinear> comparedLinears(std::span<const RunRecord* const> runs)
{
    return byName<LinearOutcome>(
        runs, [](const RunRecord& run) -> const std::vector<LinearOutcome>& { return run.result.linears; });
}

std::vector<ComparedEvaluation> comparedEvaluations(std::span<const RunRecord* const> runs)
{
    return byName<EvaluationOutcome>(
        runs, [](const RunRecord& run) -> const std::vector<EvaluationOutcome>& { return run.result.evaluations; });
}

bool sameWindows(const ComparedEvaluation& evaluation)
{
    const EvaluationOutcome* first = evaluation.of.front();
    return first != nullptr && std::ranges::all_of(evaluation.of, [first](const EvaluationOutcome* other) {
               return other != nullptr && other->original.windowNll == first->original.windowNll;
           });
}

bool differs(const ComparedLinear& linear)
{
    const LinearOutcome* first = linear.of.front();
    return first == nullptr || !std::ranges::all_of(linear.of, [first](const LinearOutcome* other) {
               return other != nullptr && other->rank == first->rank && other->structure == first->structure &&
                      other->measuredLoss == first->measuredLoss;
           });
}

bool sameModel(std::span<const RunRecord* const> runs)
{
    const RunRecord& first = *runs.front();
    return std::ranges::all_of(runs, [&](const RunRecord* run) {
        // A run that stopped before it had read the model has no fingerprint of it.
        const bool known = !run->result.modelFingerprint.empty() && !first.result.modelFingerprint.empty();
        return known ? run->result.modelFingerprint == first.result.modelFingerprint
                     : run->summary.model == first.summary.model;
    });
}

} // namespace rankwright
