#include "ui/models/linear_filter_model.h"

#include "core/model/role.h"
#include "ui/models/linear_tree_model.h"
#include "ui/session/text.h"

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

namespace {

bool isRole(const QString& word)
{
    for (std::size_t role = 0; role < roleCount; ++role)
        if (word.compare(toQString(roleName(static_cast<Role>(role))), Qt::CaseInsensitive) == 0)
            return true;
    return false;
}

/// "o" is a role and no part of "proj", 2 is no part of 12; other words are found anywhere.
bool accepts(const QString& text, const QString& word)
{
    const bool isNumber = std::ranges::all_of(word, [](QChar c) { return c.isDigit(); });
    if (!isNumber && !isRole(word))
        return text.contains(word, Qt::CaseInsensitive);
    return text.split(QLatin1Char(' ')).contains(word, Qt::CaseInsensitive);
}

} // namespace

bool LinearFilterModel::filterAcceptsRow(int row, const QModelIndex& parent) const
{
    if (m_words.isEmpty())
        return true;
    const QString text =
        sourceModel()->data(sourceModel()->index(row, 0, parent), LinearTreeModel::FilterTextRole).toString();
    return parent.isValid() && std::ranges::all_of(m_words, [&](const QString& word) { return accepts(text, word); });
}

} // namespace rankwright::ui
