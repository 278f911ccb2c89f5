// Ranks from allocators, and the planners that make them quick.
#include "core/experiment/linear_groups.h"
#include "ui/session/rank_plan.h"
#include "ui/session/text.h"

#include <algorithm>
#include <functional>

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
    if (!m_cannotGroup.isEmpty()) {
        m_problem = m_cannotGroup;
        return std::nullopt;
    }
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
    for (const std::vector<std::size_t>& item : m_items)
        fixed.push_back(state.locked[item.front()] ? std::optional(state.ranks[item.front()]) : std::nullopt);
    return fixed;
}

std::vector<AllocationItem> RankPlan::items(const PlanState& state, Losses measure) const
{
    std::vector<AllocationItem> result;
    for (const std::vector<std::size_t>& linears : m_items) {
        std::vector<const LinearInfo*> together;
        together.reserve(linears.size());
        for (const std::size_t linear : linears)
            together.push_back(&m_document->model.linears()[linear]);
        AllocationItem item = itemOf(together);
        std::vector<double> sum;
        for (const std::size_t linear : measure == Losses::None ? std::vector<std::size_t>() : linears) {
            const SpectrumPtr spectrum = losses(static_cast<int>(linear));
            const std::vector<double>& own = measure == Losses::Nats ? spectrum->nats : spectrum->loss;
            sum.resize(own.size());
            std::transform(sum.begin(), sum.end(), own.begin(), sum.begin(), std::plus<>());
            item.singularValues = spectrum->singularValues;
        }
        if (measure == Losses::Nats)
            item.setLossInNats(std::move(sum));
        else if (measure == Losses::Relative)
            item.setRelativeLoss(std::move(sum));
        if (state.locked[linears.front()])
            item.rank = state.ranks[linears.front()];
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
    const SpectrumPtr spectrum = this->losses(linear);
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
