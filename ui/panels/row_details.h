#pragma once

#include <QAbstractItemView>
#include <QLabel>

#include <functional>

namespace rankwright::ui {

/// Everything of the current row of a table, whose cells may have no room for it; hidden while there is no such row.
class RowDetails : public QLabel
{
public:
    /// `text` gives what is shown of a row. The table must have its model already.
    RowDetails(const QAbstractItemView* table, std::function<QString(const QModelIndex& row)> text)
        : m_table(table)
        , m_text(std::move(text))
    {
        setWordWrap(true);
        setTextFormat(Qt::PlainText);
        setTextInteractionFlags(Qt::TextSelectableByMouse);
        const QAbstractItemModel* model = table->model();
        connect(table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, &RowDetails::refresh);
        connect(model, &QAbstractItemModel::dataChanged, this, &RowDetails::refresh);
        connect(model, &QAbstractItemModel::modelReset, this, &RowDetails::refresh);
        connect(model, &QAbstractItemModel::rowsRemoved, this, &RowDetails::refresh);
        refresh();
    }

private:
    void refresh()
    {
        const QModelIndex row = m_table->currentIndex();
        if (row.isValid())
            setText(m_text(row));
        setVisible(row.isValid());
    }

    const QAbstractItemView* m_table;
    std::function<QString(const QModelIndex& row)> m_text;
};

} // namespace rankwright::ui
