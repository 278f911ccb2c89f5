#include "app/cli/run_notes.h"

#include "core/base/event_kinds.h"
#include "core/training/training_options.h"

#include <algorithm>
#include <fmt/ranges.h>

namespace rankwright::cli {

namespace {

/// Parts of a training that have events of a kind, blocks or "" for all of them, with the number of events.
std::vector<std::pair<std::string, std::size_t>> partsWith(const std::vector<NumericEvent>& events,
                                                           std::string_view kind, bool ofBlocks)
{
    std::vector<std::pair<std::string, std::size_t>> parts;
    for (const NumericEvent& event : events) {
        if (event.kind != kind || event.linear.empty() == ofBlocks)
            continue;
        const auto known = std::ranges::find(parts, event.linear, &std::pair<std::string, std::size_t>::first);
        if (known == parts.end())
            parts.emplace_back(event.linear, 1);
        else
            ++known->second;
    }
    // Blocks are trained side by side: the order of their events is none.
    std::ranges::sort(parts, {}, [](const auto& part) { return std::pair(part.first.size(), part.first); });
    return parts;
}

/// " in model.layers.0 and 4 more blocks"; nothing where all blocks are trained together.
std::string inBlocks(const std::vector<std::pair<std::string, std::size_t>>& parts)
{
    const std::size_t more = parts.size() - 1;
    return parts.front().first.empty()
               ? std::string()
               : fmt::format(" in {}{}", parts.front().first,
                             more > 0 ? fmt::format(" and {} more block{}", more, more == 1 ? "" : "s") : "");
}

/// What of a training, the distillation of blocks or the recovery, did not go as it should; empty where all did.
std::string trainingText(const std::vector<NumericEvent>& events, bool ofBlocks)
{
    std::vector<std::string> parts;
    if (const auto diverged = partsWith(events, eventKind::divergedStep, ofBlocks); !diverged.empty()) {
        const auto first = std::ranges::find_if(events, [&](const NumericEvent& event) {
            return event.kind == eventKind::divergedStep && event.linear == diverged.front().first;
        });
        std::size_t times = 0;
        std::size_t ended = 0;
        for (const auto& [part, count] : diverged) {
            times += count;
            ended += count >= mostUndoneSteps ? 1 : 0;
        }
        parts.push_back(
            fmt::format("diverged at step {:.0f}{}, undone {} time{} with half the learning rate after{}", first->value,
                        inBlocks(diverged), times, times == 1 ? "" : "s",
                        ended > 0 ? ", then given up" + (ofBlocks ? fmt::format(" in {} of them", ended) : "") : ""));
    }
    if (const auto kept = partsWith(events, eventKind::trainedWithoutGain, ofBlocks); !kept.empty())
        parts.push_back(
            fmt::format("no gain on held-out windows{}: the factors from before training are kept", inBlocks(kept)));
    else if (!parts.empty())
        parts.emplace_back("the factors that did best on held-out windows are kept");
    return fmt::format("{}", fmt::join(parts, "; "));
}

} // namespace

std::vector<std::pair<std::string, std::string>> runNotes(const std::vector<NumericEvent>& events)
{
    std::vector<std::pair<std::string, std::string>> lines;
    for (const bool ofBlocks : {true, false})
        if (std::string text = trainingText(events, ofBlocks); !text.empty())
            lines.emplace_back(ofBlocks ? "distillation" : "recovery", std::move(text));
    for (const NumericEvent& event : events)
        if (event.kind == eventKind::storesMore)
            lines.emplace_back("note", event.message);
    return lines;
}

} // namespace rankwright::cli
