#pragma once

#include <QSortFilterProxyModel>
#include <QStringList>

namespace rankwright::ui {

/// Linears whose name, block and role hold every word of a filter; words in any order, ignoring case. A block is shown
/// with its linears that match.
class LinearFilterModel : public QSortFilterProxyModel
{
    Q_OBJECT

public:
    explicit LinearFilterModel(QObject* parent = nullptr);
    void setFilter(const QString& text);

protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override;

private:
    QStringList m_words;
};

} // namespace rankwright::ui
