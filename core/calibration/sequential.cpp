#include "core/base/error.h"
#include "core/base/value_by_name.h"
#include "core/calibration/moment_pass.h"

#include <fmt/format.h>
#include <optional>

namespace rankwright {

std::string_view sequentialModeName(SequentialMode mode)
{
    switch (mode) {
    case SequentialMode::Dense:
        return "dense";
    case SequentialMode::Compressed:
        return "compressed";
    case SequentialMode::Anchored:
        return "anchored";
    case SequentialMode::Update:
        return "update";
    case SequentialMode::Alternate:
        return "alternate";
    }
    throw Error(ErrorKind::Internal, "unknown sequential mode");
}

SequentialMode sequentialModeFromName(std::string_view name)
{
    return valueByName(sequentialModes, sequentialModeName, name, "sequential mode");
}

struct SequentialStatistics::State
{
    State(const Model& denseModel, const Device& device, const TokenWindows& tokens, bool isAnchored,
          const PassOptions& options)
        : model(denseModel)
        , windows(tokens)
        , anchored(isAnchored)
        , plan(planPass(model, windows, options, anchored, true))
        , states(embedWindows(model, windows, plan, options))
        , pass(model, device, windows, plan)
    {
        if (anchored)
            denseStates.emplace(embedWindows(model, windows, plan, options));
        pass.expectPasses(model.config().blocks * (siteCount + 1));
    }

    /// A pass of the next block.
    BlockPass nextPass(const BlockWeights& weights)
    {
        BlockPass work{.block = block, .weights = &weights, .states = &states, .stage = "sequential calibration"};
        if (anchored) {
            if (!denseWeights)
                denseWeights = model.loadBlock(block);
            work.denseWeights = denseWeights.get();
            work.denseStates = &*denseStates;
        }
        return work;
    }

    Model model;
    TokenWindows windows;
    bool anchored;
    PassPlan plan;
    HiddenStates states;
    std::optional<HiddenStates> denseStates;
    MomentPass pass;
    std::size_t block = 0;
    std::size_t nextTap = 0;
    std::shared_ptr<const BlockWeights> denseWeights; ///< of `block`, anchored only
};

SequentialStatistics::SequentialStatistics(const Model& model, const Device& device, const TokenWindows& windows,
                                           SequentialMode mode, const PassOptions& options)
{
    if (mode == SequentialMode::Dense)
        throw Error(ErrorKind::Internal, "dense statistics are those of calibrate()");
    requireWindows(model, windows);
    m_state = std::make_unique<State>(model, device, windows, mode == SequentialMode::Anchored, options);
}

SequentialStatistics::~SequentialStatistics() = default;

TapStatistics SequentialStatistics::collect(const TapInfo& tap, const BlockWeights& current, const TaskContext& context)
{
    if (tap.block != m_state->block || tap.index < m_state->nextTap)
        throw Error(ErrorKind::Internal,
                    fmt::format("tap {} is out of order: block {} is next", tap.name, m_state->block));
    m_state->nextTap = tap.index + 1;
    BlockPass work = m_state->nextPass(current);
    work.sites = {tap.site};
    return std::move(m_state->pass.run(work, context).front());
}

void SequentialStatistics::advance(std::size_t block, const BlockWeights& compressed, const TaskContext& context)
{
    if (block != m_state->block)
        throw Error(ErrorKind::Internal, fmt::format("block {} is out of order: {} is next", block, m_state->block));
    BlockPass work = m_state->nextPass(compressed);
    work.advance = true;
    m_state->pass.run(work, context);
    ++m_state->block;
    m_state->denseWeights.reset();
}

} // namespace rankwright
