#include "ui/session/rank_plan.h"

namespace rankwright::ui {

void RankPlan::updateTotals()
{
    m_costs.clear();
    if (!m_document) {
        m_totals = {};
        return;
    }
    m_costs.reserve(m_state.ranks.size());
    for (std::size_t i = 0; i < m_state.ranks.size(); ++i) {
        const int linear = static_cast<int>(i);
        if (m_chosen[i])
            m_costs.push_back(linearCost(m_document->model.linears()[i], structure(linear), rank(linear),
                                         m_state.storage, relativeLoss(linear)));
    }
    m_totals = planTotals(m_modelTotals, m_costs);
}

} // namespace rankwright::ui
