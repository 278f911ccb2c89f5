#include "core/experiment/earlier_attempts.h"

#include <algorithm>
#include <iterator>

namespace rankwright {

EarlierAttempts::EarlierAttempts(const Store& store, std::int64_t run)
    : m_store(store)
    , m_runs(store.equalRuns(run))
{}

template <typename Has>
const EarlierAttempts::Attempt* EarlierAttempts::newest(const Has& has)
{
    for (std::size_t i = 0; i < m_runs.size(); ++i) {
        if (i == m_attempts.size())
            m_attempts.push_back({m_store.run(m_runs[i]), m_store.trainingPoints(m_runs[i])});
        if (has(m_attempts[i]))
            return &m_attempts[i];
    }
    return nullptr;
}

std::vector<NumericEvent> EarlierAttempts::eventsOfLinear(const std::string& linear)
{
    const Attempt* attempt = newest([&](const Attempt& each) {
        return std::ranges::find(each.record.result.linears, linear, &LinearOutcome::name) !=
               each.record.result.linears.end();
    });
    std::vector<NumericEvent> events;
    if (attempt != nullptr)
        std::ranges::copy_if(attempt->record.result.events, std::back_inserter(events), [&](const NumericEvent& event) {
            return event.linear == linear && event.kind != "discardedFile";
        });
    return events;
}

EarlierAttempts::Training EarlierAttempts::training(const std::string& stage, const std::string& part)
{
    const auto isOf = [&](const TrainingPoint& point) { return point.stage == stage && point.part == part; };
    const Attempt* attempt = newest([&](const Attempt& each) { return std::ranges::any_of(each.points, isOf); });
    Training training;
    if (attempt == nullptr)
        return training;
    std::ranges::copy_if(attempt->points, std::back_inserter(training.points), isOf);
    std::ranges::copy_if(
        attempt->record.result.events, std::back_inserter(training.events), [&](const NumericEvent& event) {
            return event.linear == part && (event.kind == "divergedStep" || event.kind == "trainedWithoutGain");
        });
    return training;
}

} // namespace rankwright
