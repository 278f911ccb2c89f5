#pragma once

#include "ui/models/run_query.h"
#include "ui/session/run_store.h"

#include <QAbstractTableModel>

#include <map>
#include <optional>
#include <utility>

namespace rankwright::ui {

/// The runs of the store that match a filter, in an order. Filtered and sorted in the background; the latest wish wins,
/// and the table shows the last answer until the next is there.
class RunTableModel : public QAbstractTableModel
{
    Q_OBJECT

public:
    enum Role {
        IdRole = Qt::UserRole,
        SortRole ///< the number behind the text, invalid where there is none
    };

    explicit RunTableModel(RunStore& store, QObject* parent = nullptr);

    void setFilter(const QString& words);
    /// The evaluation that perplexities are of; empty: the first of each run.
    void setEvaluation(const QString& text);
    void sort(int column, Qt::SortOrder order) override;
    const RunQuery& query() const { return m_query; }

    /// What is shown; never null.
    RunViewPtr view() const { return m_view; }
    /// Whether an answer is still being worked on.
    bool busy() const { return m_busy; }
    /// Keeps the rows as they are, e.g. while a cell is edited; what changed meanwhile is shown afterwards.
    void hold(bool held);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;
    /// Tags and notes, written to the store in the background.
    bool setData(const QModelIndex& index, const QVariant& value, int role = Qt::EditRole) override;

signals:
    /// view() is another one.
    void arranged();

private:
    void arrange();
    void show(RunViewPtr view);
    QString text(const RunSummary& run, RunColumn column) const;

    RunStore& m_store;
    RunQuery m_query;
    RunViewPtr m_view;
    RunListPtr m_list; ///< the latest prepared one
    RunViewPtr m_waiting;
    bool m_held = false;
    bool m_busy = false;
    /// Texts that are being written, by run and column.
    std::map<std::pair<std::int64_t, RunColumn>, QString> m_written;
    LatestRequest m_arranging;
    Background m_background{1};
};

} // namespace rankwright::ui
