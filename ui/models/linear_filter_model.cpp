#include "ui/models/linear_filter_model.h"

#include "ui/models/linear_tree_model.h"

#include <algorithm>

namespace rankwright::ui {

LinearFilterModel::LinearFilterModel(QObject* parent)
    : QSortFilterProxyModel(parent)
{
    setRecursiveFilteringEnabled(true);
    setSortRole(LinearTreeModel::SortRole);
}

void LinearFilterModel::setFilter(const QString& text)
{
    m_words = text.split(QLatin1Char(' '), Qt::SkipEmptyParts);
    invalidateFilter();
}

bool LinearFilterModel::filterAcceptsRow(int row, const QModelIndex& parent) const
{
    if (m_words.isEmpty())
        return true;
    const QString text =
        sourceModel()->data(sourceModel()->index(row, 0, parent), LinearTreeModel::FilterTextRole).toString();
    return parent.isValid() &&
           std::ranges::all_of(m_words, [&](const QString& word) { return text.contains(word, Qt::CaseInsensitive); });
}

} // namespace rankwright::ui
