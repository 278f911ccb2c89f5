#include "core/experiment/earlier_attempts.h"

#include "core/base/error.h"
#include "core/base/event_kinds.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace rankwright {

EarlierAttempts::EarlierAttempts(const Store& store, std::int64_t run, const TaskContext& context)
    : m_store(store)
    , m_context(context)
    , m_unread(store.equalRuns(run))
{
    std::ranges::reverse(m_unread);
}

std::optional<EarlierAttempts::Attempt> EarlierAttempts::read(std::int64_t run) const
{
    try {
        return Attempt{m_store.run(run), m_store.trainingPoints(run)};
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::NotFound) // deleted in between
            throw;
        m_context.note(
            {eventKind::discardedFile, "",
             fmt::format("what run {} has recorded of its numerics is not taken over: {}", run, error.what()), 0.0});
        return std::nullopt;
    }
}

template <typename Has>
const EarlierAttempts::Attempt* EarlierAttempts::newest(const Has& has)
{
    const auto known = std::ranges::find_if(m_attempts, has);
    if (known != m_attempts.end())
        return &*known;
    while (!m_unread.empty()) {
        std::optional<Attempt> attempt = read(m_unread.back());
        m_unread.pop_back();
        if (!attempt)
            continue;
        m_attempts.push_back(std::move(*attempt));
        if (has(m_attempts.back()))
            return &m_attempts.back();
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
            return event.linear == linear && event.kind != eventKind::discardedFile;
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
            return event.linear == part &&
                   (event.kind == eventKind::divergedStep || event.kind == eventKind::trainedWithoutGain);
        });
    return training;
}

} // namespace rankwright
