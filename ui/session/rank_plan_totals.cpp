#include "ui/session/rank_plan.h"

namespace rankwright::ui {

void RankPlan::updateTotals()
{
    m_relativeLosses.assign(m_state.ranks.size(), std::numeric_limits<double>::quiet_NaN());
    m_nats = std::numeric_limits<double>::quiet_NaN();
    if (!m_document) {
        m_totals = {};
        return;
    }
    std::vector<const LinearInfo*> linears; // the chosen ones
    std::vector<StoredRank> plan;
    std::vector<double> relativeLosses;
    m_nats = 0.0;
    for (std::size_t i = 0; i < m_state.ranks.size(); ++i) {
        const int linear = static_cast<int>(i);
        const SpectrumPtr spectrum = losses(linear);
        if (spectrum)
            m_relativeLosses[i] = rankwright::relativeLoss(spectrum->loss, structure(linear), rank(linear));
        if (!m_chosen[i])
            continue;
        linears.push_back(&m_document->model.linears()[i]);
        plan.push_back(stored(linear));
        relativeLosses.push_back(m_relativeLosses[i]);
        if (!hasLosses(linear, Losses::Nats))
            m_nats = std::numeric_limits<double>::quiet_NaN();
        else if (structure(linear) != StructureKind::Dense)
            m_nats += spectrum->nats[rank(linear)];
    }
    m_totals = planTotals(m_document->model, linears, plan, m_state.storage, relativeLosses);
}

} // namespace rankwright::ui
