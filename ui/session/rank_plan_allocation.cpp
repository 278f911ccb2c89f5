// Ranks from allocators, and the planners that make them quick.
#include "core/experiment/linear_groups.h"
#include "ui/session/rank_plan.h"
#include "ui/session/text.h"

#include <algorithm>
#include <functional>

namespace rankwright::ui {

namespace {

/// What gets one rank each, of linears `together`, with the losses of `spectra`, by linear; without losses where there
/// are no spectra.
std::vector<AllocationItem> makeItems(const Document& document, const std::vector<std::vector<std::size_t>>& together,
                                      const std::vector<SpectrumPtr>& spectra, bool nats)
{
    std::vector<AllocationItem> result;
    result.reserve(together.size());
    for (const std::vector<std::size_t>& linears : together) {
        std::vector<const LinearInfo*> infos;
        infos.reserve(linears.size());
        for (const std::size_t linear : linears)
            infos.push_back(&document.model.linears()[linear]);
        result.push_back(itemOf(infos));
        if (spectra.empty())
            continue;
        AllocationItem& item = result.back();
        std::vector<double> sum;
        for (const std::size_t linear : linears) {
            const std::vector<double>& own = nats ? spectra[linear]->nats : spectra[linear]->loss;
            sum.resize(own.size());
            std::transform(sum.begin(), sum.end(), own.begin(), sum.begin(), std::plus<>());
            item.singularValues = spectra[linear]->singularValues;
        }
        if (nats)
            item.setLossInNats(std::move(sum));
        else
            item.setRelativeLoss(std::move(sum));
    }
    return result;
}

} // namespace

const Allocator& RankPlan::previewed(const std::string& allocator)
{
    const Allocator& chosen = findAllocator(allocator);
    return chosen.needsTrials() ? allocators().front() : chosen;
}

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
    const Allocator& chosen = previewed(allocator);
    Planner& ready = m_planners[!chosen.needsAnalyses() ? Losses::None
                                : chosen.needsGradients ? Losses::Nats
                                                        : Losses::Relative];
    if (!ready.planner || ready.structure != planned(state)) {
        if (chosen.needsAnalyses()) {
            m_waiting = true;
            return std::nullopt;
        }
        ready.structure = planned(state);
        ready.planner =
            std::make_shared<const RankPlanner>(ready.structure, makeItems(*m_document, m_items, {}, false));
    }
    try {
        const AllocationPlan plan = ready.planner->plan(chosen.name, state.keptRatio, fixedRanks(state));
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

void RankPlan::Planner::drop()
{
    request.cancel();
    making = false;
    planner.reset();
}

void RankPlan::dropPlanners()
{
    for (auto& [losses, ready] : m_planners)
        ready.drop();
}

bool RankPlan::hasLosses(int linear, Losses losses) const
{
    const SpectrumPtr spectrum = this->losses(linear);
    return spectrum && (losses != Losses::Nats || !spectrum->nats.empty());
}

void RankPlan::ensurePlanner(Losses losses)
{
    Planner& ready = m_planners[losses];
    // One that is being made is waited for: a slider that moves would make it start again with every step.
    if (!m_document || ((ready.planner || ready.making) && ready.structure == planned()))
        return;
    ready.drop();
    std::vector<SpectrumPtr> spectra(m_chosen.size());
    for (std::size_t i = 0; i < m_chosen.size(); ++i) {
        if (m_chosen[i] && !hasLosses(static_cast<int>(i), losses))
            return;
        spectra[i] = this->losses(static_cast<int>(i));
    }
    ready.structure = planned();
    ready.making = true;
    m_background.run(
        this, ready.request.next(),
        [document = m_document, structure = ready.structure, together = m_items, spectra = std::move(spectra),
         nats = losses == Losses::Nats] {
            return std::make_shared<const RankPlanner>(structure, makeItems(*document, together, spectra, nats));
        },
        [this, losses](const Outcome<std::shared_ptr<const RankPlanner>>& planner) {
            m_planners[losses].making = false;
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
