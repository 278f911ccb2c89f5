#pragma once

#include "ui/session/rank_plan.h"

#include <QUndoCommand>

namespace rankwright::ui {

/// From one state of the plan to another; those of one drag are one step.
class PlanCommand : public QUndoCommand
{
public:
    /// `mergeId` is -1 for a step of its own.
    PlanCommand(RankPlan& plan, PlanState before, PlanState after, const QString& what, int mergeId)
        : QUndoCommand(what)
        , m_plan(plan)
        , m_before(std::move(before))
        , m_after(std::move(after))
        , m_mergeId(mergeId)
    {}

    int id() const override { return m_mergeId; }
    bool mergeWith(const QUndoCommand* other) override
    {
        m_after = static_cast<const PlanCommand*>(other)->m_after;
        return true;
    }
    void undo() override { m_plan.show(m_before); }
    void redo() override { m_plan.show(m_after); }

private:
    RankPlan& m_plan;
    PlanState m_before;
    PlanState m_after;
    int m_mergeId;
};

} // namespace rankwright::ui
