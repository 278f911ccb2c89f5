#include "ui/session/rank_plan.h"

#include "core/experiment/linear_groups.h"
#include "ui/session/plan_command.h"
#include "ui/session/text.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace rankwright::ui {

namespace {

constexpr int noMerge = -1;

} // namespace

RankPlan::RankPlan(SpectrumService& spectra, QObject* parent)
    : QObject(parent)
    , m_spectra(spectra)
{
    connect(&m_spectra, &SpectrumService::ready, this, &RankPlan::spectrumReady);
}

void RankPlan::setDocument(DocumentPtr document)
{
    dropPlanners();
    m_undo.clear();
    m_document = std::move(document);
    m_state.ranks.clear();
    m_state.locked.clear();
    m_state.edited = false;
    m_named.clear();
    m_ghost.clear();
    m_problem.clear();
    m_chosen.clear();
    m_items.clear();
    m_itemOf.clear();
    m_cannotGroup.clear();
    if (m_document) {
        const auto& linears = m_document->model.linears();
        m_state.locked.assign(linears.size(), false);
        m_chosen.assign(linears.size(), true);
        m_state.ranks.reserve(linears.size());
        for (const LinearInfo& linear : linears)
            m_state.ranks.push_back(linear.shape.fullRank());
        regroup();
        PlanState state = m_state;
        reallocate(state);
        show(state);
    } else {
        show(m_state);
    }
    emit namedChanged();
}

void RankPlan::setAnalysis(const AnalysisKey& key)
{
    if (key == m_key)
        return;
    m_key = key;
    dropPlanners();
    if (previewed(m_state.allocator).needsAnalyses() && !m_state.edited) {
        m_waiting = true;
        m_waitingId = dragId(true);
    }
    show(m_state);
}

void RankPlan::setMethod(const std::string& method, const MethodParameters& parameters)
{
    m_method = method;
    const double before = std::exchange(m_sparseShare, findMethod(method).sparseShare(parameters));
    if (!m_document || (!regroup() && m_sparseShare == before))
        return;
    dropPlanners();
    PlanState state = m_state;
    reallocate(state);
    show(state);
}

bool RankPlan::regroup()
{
    const Model& model = m_document->model;
    std::vector<std::size_t> chosen;
    std::vector<const LinearInfo*> linears;
    for (std::size_t i = 0; i < m_chosen.size(); ++i)
        if (m_chosen[i]) {
            chosen.push_back(i);
            linears.push_back(&model.linears()[i]);
        }
    std::vector<std::vector<std::size_t>> items;
    QString cannot;
    try {
        for (const std::vector<std::size_t>& together : rankedTogether(model, findMethod(m_method), linears)) {
            items.emplace_back();
            for (const std::size_t position : together)
                items.back().push_back(chosen[position]);
        }
    } catch (const Error& error) {
        cannot = toQString(error.what());
        for (const std::size_t linear : chosen)
            items.push_back({linear});
    }
    const bool same = items == m_items && cannot == m_cannotGroup;
    m_items = std::move(items);
    m_cannotGroup = cannot;
    m_itemOf.assign(m_chosen.size(), 0);
    for (std::size_t item = 0; item < m_items.size(); ++item)
        for (const std::size_t linear : m_items[item])
            m_itemOf[linear] = item;
    return !same;
}

std::vector<std::size_t> RankPlan::withPartners(const std::vector<int>& linears) const
{
    std::set<std::size_t> all;
    for (const int linear : linears) {
        const auto i = static_cast<std::size_t>(linear);
        all.insert(i);
        if (m_chosen[i])
            all.insert(m_items[m_itemOf[i]].begin(), m_items[m_itemOf[i]].end());
    }
    return {all.begin(), all.end()};
}

SpectrumPtr RankPlan::losses(int linear) const
{
    const SpectrumPtr spectrum = m_spectra.find(m_key, linear);
    return spectrum && spectrum->shape == rankedShape(linear) ? spectrum : nullptr;
}

void RankPlan::setChosen(const std::vector<bool>& chosen)
{
    if (chosen == m_chosen || chosen.size() != m_state.ranks.size())
        return;
    m_chosen = chosen;
    regroup();
    dropPlanners();
    PlanState state = m_state;
    if (!state.edited)
        reallocate(state);
    show(state);
}

std::size_t RankPlan::rank(int linear) const
{
    return chosen(linear) ? m_state.ranks[static_cast<std::size_t>(linear)] : shape(linear).fullRank();
}

StoredRank RankPlan::stored(int linear) const
{
    const auto i = static_cast<std::size_t>(linear);
    StoredRank result{.structure = StructureKind::Dense, .rank = rank(linear)};
    if (!m_chosen[i])
        return result;
    const RankCosts costs(planned());
    result.structure = costs.structure(rankedShape(linear), result.rank);
    result.entries = costs.entries(rankedShape(linear), result.rank);
    const bool reads = m_items[m_itemOf[i]].front() != i;
    if (result.structure != StructureKind::Dense && reads)
        result.structure = StructureKind::SharedLatent;
    return result;
}

LinearShape RankPlan::shape(int linear) const
{
    return m_document->model.linears()[static_cast<std::size_t>(linear)].shape;
}

LinearShape RankPlan::rankedShape(int linear) const
{
    const auto i = static_cast<std::size_t>(linear);
    LinearShape result = shape(linear);
    if (!m_chosen[i])
        return result;
    result.rows = 0;
    for (const std::size_t partner : m_items[m_itemOf[i]])
        result.rows += shape(static_cast<int>(partner)).rows;
    return result;
}

std::size_t RankPlan::keptParameters(int linear) const
{
    return parameterCount(stored(linear), shape(linear));
}

void RankPlan::setKeptRatio(double ratio, bool finished)
{
    PlanState state = m_state;
    state.keptRatio = ratio;
    replan(std::move(state), tr("kept ratio"), finished);
}

void RankPlan::setAllocator(const std::string& allocator)
{
    if (allocator == m_state.allocator && !m_state.edited)
        return;
    PlanState state = m_state;
    state.allocator = allocator;
    replan(std::move(state), tr("allocation"), true);
}

void RankPlan::setStructure(StructureKind structure)
{
    if (structure == m_state.structure)
        return;
    PlanState state = m_state;
    state.structure = structure;
    replan(std::move(state), tr("structure"), true);
}

void RankPlan::setStorage(DType storage)
{
    if (storage == m_state.storage)
        return;
    PlanState state = m_state;
    state.storage = storage;
    push(std::move(state), tr("storage type"), noMerge);
}

void RankPlan::setRanks(const std::vector<int>& linears, std::size_t rank, bool finished)
{
    PlanState state = m_state;
    for (const std::size_t i : withPartners(linears)) {
        if (!m_chosen[i])
            continue;
        const LinearShape ranked = rankedShape(static_cast<int>(i));
        std::size_t value = std::clamp<std::size_t>(rank, 1, ranked.fullRank());
        if (RankCosts(planned(state)).isDense(ranked, value))
            value = ranked.fullRank();
        state.ranks[i] = value;
        state.locked[i] = true;
        state.edited = true;
    }
    push(std::move(state), linears.size() == 1 ? tr("rank") : tr("ranks"), dragId(finished));
}

void RankPlan::setLocked(const std::vector<int>& linears, bool locked)
{
    PlanState state = m_state;
    for (const std::size_t linear : withPartners(linears))
        state.locked[linear] = locked;
    if (locked)
        push(std::move(state), tr("lock"), noMerge);
    else
        replan(std::move(state), tr("unlock"), true);
}

void RankPlan::reallocateNow()
{
    replan(m_state, tr("allocation"), true);
}

void RankPlan::restore(const PlanState& state, const QString& what)
{
    if (state.ranks.size() == m_state.ranks.size())
        push(state, what, noMerge);
}

int RankPlan::dragId(bool finished)
{
    const int id = m_drag;
    if (finished)
        ++m_drag;
    return id;
}

void RankPlan::replan(PlanState state, const QString& what, bool finished)
{
    reallocate(state);
    const int id = dragId(finished);
    if (m_waiting)
        m_waitingId = id;
    push(std::move(state), what, id);
}

void RankPlan::push(PlanState state, const QString& what, int mergeId)
{
    if (state == m_state) {
        emit changed(); // a problem or waiting may be new
        return;
    }
    m_undo.push(new PlanCommand(*this, m_state, std::move(state), what, mergeId));
}

void RankPlan::show(const PlanState& state)
{
    m_state = state;
    ensurePlanner(Losses::Relative);
    ensurePlanner(Losses::Nats);
    updateGhost();
    updateTotals();
    emit changed();
}

void RankPlan::setGhost(const std::string& allocator)
{
    m_ghostAllocator = allocator;
    updateGhost();
    emit changed();
}

void RankPlan::spectrumReady(const AnalysisKey& key, int linear)
{
    if (!(key == m_key) || !m_document)
        return;
    ensurePlanner(Losses::Relative);
    ensurePlanner(Losses::Nats);
    updateTotals();
    emit lossReady(linear);
}

void RankPlan::keepAs(const QString& name)
{
    m_named[name] = m_state;
    emit namedChanged();
}

void RankPlan::forget(const QString& name)
{
    m_named.erase(name);
    emit namedChanged();
}

void RankPlan::setNamed(std::map<QString, PlanState> plans)
{
    m_named = std::move(plans);
    emit namedChanged();
}

void RankPlan::apply(Recipe& recipe) const
{
    recipe.structure = m_state.structure;
    recipe.storage = m_state.storage;
    recipe.allocation = m_state.allocator;
    recipe.keptRatio = m_state.keptRatio;
    recipe.ranks.clear();
    if (!m_document)
        return;
    for (std::size_t i = 0; i < m_state.ranks.size(); ++i)
        if (m_chosen[i] && (m_state.edited || m_state.locked[i]))
            recipe.ranks[m_document->model.linears()[i].name] = m_state.ranks[i];
    if (m_state.edited) {
        recipe.allocation = "uniform"; // every rank is set: nothing is left to allocate
        recipe.keptRatio = m_totals.keptRatio;
    }
}

std::size_t RankPlan::take(const Recipe& recipe)
{
    std::size_t taken = 0;
    PlanState state = m_state;
    state.structure = recipe.structure;
    state.storage = recipe.storage;
    state.allocator = recipe.allocation;
    state.keptRatio = recipe.keptRatio;
    if (m_document) {
        for (std::size_t i = 0; i < state.ranks.size(); ++i) {
            const auto byHand = recipe.ranks.find(m_document->model.linears()[i].name);
            state.locked[i] = byHand != recipe.ranks.end();
            taken += state.locked[i] ? 1 : 0;
            if (state.locked[i])
                state.ranks[i] =
                    std::clamp<std::size_t>(byHand->second, 1, rankedShape(static_cast<int>(i)).fullRank());
        }
    }
    replan(std::move(state), tr("recipe"), true);
    return recipe.ranks.size() - taken;
}

} // namespace rankwright::ui
