#pragma once

#include "core/experiment/recipe.h"

#include <QObject>

namespace rankwright::ui {

/// The recipe being put together. Ranks, kept ratio, allocation, structure and storage live in RankPlan, which
/// Session::recipe() merges in.
class RecipeState : public QObject
{
    Q_OBJECT

public:
    using QObject::QObject;

    const Recipe& recipe() const { return m_recipe; }
    void set(const Recipe& recipe);
    /// Changes some of it.
    template <typename Change>
    void change(const Change& apply)
    {
        Recipe recipe = m_recipe;
        apply(recipe);
        set(recipe);
    }

signals:
    void changed();

private:
    Recipe m_recipe;
};

} // namespace rankwright::ui
