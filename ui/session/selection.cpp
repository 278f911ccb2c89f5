#include "ui/session/selection.h"

#include <algorithm>

namespace rankwright::ui {

Selection::Selection(QObject* parent)
    : QObject(parent)
{}

bool Selection::contains(int linear) const
{
    return std::ranges::binary_search(m_linears, linear);
}

void Selection::set(std::vector<int> linears, int current)
{
    std::ranges::sort(linears);
    linears.erase(std::unique(linears.begin(), linears.end()), linears.end());
    if (linears.empty())
        current = -1;
    else if (!std::ranges::binary_search(linears, current))
        current = linears.front();
    if (linears == m_linears && current == m_current)
        return;
    m_linears = std::move(linears);
    m_current = current;
    emit changed();
}

} // namespace rankwright::ui
