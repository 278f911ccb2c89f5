#include "ui/session/recipe_state.h"

namespace rankwright::ui {

void RecipeState::set(const Recipe& recipe)
{
    const bool same = recipeToJson(recipe) == recipeToJson(m_recipe);
    m_recipe = recipe;
    if (!same)
        emit changed();
}

} // namespace rankwright::ui
