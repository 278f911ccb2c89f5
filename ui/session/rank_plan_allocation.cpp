// Ranks from allocators, and the planners that make them quick.
#include "ui/session/rank_plan.h"
#include "ui/session/text.h"

#include <algorithm>

namespace rankwright::ui {

void RankPlan::reallocate(PlanState& state)
{
    m_problem.clear();
    m_waiting = false;
    const auto ranks = allocated(state, state.allocator);
    if (!ranks)
        return;
    state.ranks = *ranks;
    state.edited = false;
}

std::optional<std::vector<std::size_t>> RankPlan::allocated(const PlanState& state, const std::string& allocator)
{
    if (!m_document || std::ranges::none_of(m_chosen, [](bool chosen) { return chosen; }))
        return std::nullopt;
    const Allocator& chosen = findAllocator(allocator);
    const Planner& ready = m_planners[chosen.needsGradients ? Losses::Nats : Losses::Relative];
    if (chosen.needsAnalyses() && (!ready.planner || ready.structure != state.structure)) {
        m_waiting = true;
        return std::nullopt;
    }
    try {
        const AllocationPlan plan =
            chosen.needsAnalyses() ? ready.planner->plan(allocator, state.keptRatio, fixedRanks(state))
                                   : allocate(allocator, state.structure, state.keptRatio, items(state, Losses::None));
        std::vector<std::size_t> ranks = state.ranks;
        std::size_t next = 0;
        for (std::size_t i = 0; i < ranks.size(); ++i)
            if (m_chosen[i])
                ranks[i] = plan.ranks[next++].rank;
        return ranks;
    } catch (const Error& error) {
        m_problem = toQString(error.what());
        return std::nullopt;
    }
}

std::vector<std::optional<std::size_t>> RankPlan::fixedRanks(const PlanState& state) const
{
    std::vector<std::optional<std::size_t>> fixed;
    for (std::size_t i = 0; i < state.ranks.size(); ++i)
        if (m_chosen[i])
            fixed.push_back(state.locked[i] ? std::optional(state.ranks[i]) : std::nullopt);
    return fixed;
}

std::vector<AllocationItem> RankPlan::items(const PlanState& state, Losses losses) const
{
    std::vector<AllocationItem> result;
    for (std::size_t i = 0; i < state.ranks.size(); ++i) {
        if (!m_chosen[i])
            continue;
        const LinearInfo& info = m_document->model.linears()[i];
        AllocationItem item{.name = info.name,
                            .shape = info.shape,
                            .loss = {},
                            .weight = 1.0,
                            .rank = {},
                            .block = info.block,
                            .role = std::string(roleName(info.role))};
        if (losses != Losses::None) {
            const SpectrumPtr spectrum = m_spectra.find(m_key, static_cast<int>(i));
            if (losses == Losses::Nats)
                item.setLossInNats(spectrum->nats);
            else
                item.setRelativeLoss(spectrum->loss);
            item.singularValues = spectrum->singularValues;
        }
        if (state.locked[i])
            item.rank = state.ranks[i];
        result.push_back(std::move(item));
    }
    return result;
}

void RankPlan::dropPlanners()
{
    for (auto& [losses, ready] : m_planners) {
        ready.building.cancel();
        ready.planner.reset();
    }
}

bool RankPlan::hasLosses(int linear, Losses losses) const
{
    const SpectrumPtr spectrum = m_spectra.find(m_key, linear);
    return spectrum && (losses != Losses::Nats || !spectrum->nats.empty());
}

void RankPlan::ensurePlanner(Losses losses)
{
    Planner& ready = m_planners[losses];
    if (!m_document || (ready.planner && ready.structure == m_state.structure))
        return;
    ready.planner.reset();
    for (std::size_t i = 0; i < m_chosen.size(); ++i)
        if (m_chosen[i] && !hasLosses(static_cast<int>(i), losses))
            return;
    ready.structure = m_state.structure;
    m_background.run(
        this, ready.building.next(),
        [structure = ready.structure, all = items(m_state, losses)] {
            return std::make_shared<const RankPlanner>(structure, all);
        },
        [this, losses](const Outcome<std::shared_ptr<const RankPlanner>>& planner) {
            if (planner) {
                m_planners[losses].planner = *planner;
                plannerReady();
            } else {
                m_problem = planner.failure.message;
                emit changed();
            }
        });
}

void RankPlan::plannerReady()
{
    if (m_waiting) {
        PlanState state = m_state;
        reallocate(state);
        push(std::move(state), tr("allocation"), m_waitingId);
    } else {
        show(m_state);
    }
}

void RankPlan::updateGhost()
{
    m_ghost.clear();
    if (m_ghostAllocator.empty() || !m_document)
        return;
    const bool waiting = m_waiting;
    const QString problem = m_problem;
    if (auto ranks = allocated(m_state, m_ghostAllocator))
        m_ghost = std::move(*ranks);
    m_waiting = waiting;
    m_problem = problem;
}

} // namespace rankwright::ui
