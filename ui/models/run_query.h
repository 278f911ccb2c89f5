#pragma once

#include "ui/models/run_columns.h"

#include <QStringList>
#include <Qt>

#include <array>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

namespace rankwright::ui {

/// The runs of the store with what a filter looks into, prepared once. Immutable, shared by all threads.
struct RunList
{
    std::shared_ptr<const std::vector<RunSummary>> runs;
    std::vector<QString> haystacks; ///< every cell of a run in lower case, one a line
    QStringList texts;              ///< names of evaluation texts, the most frequent first
    bool forecasts = false;         ///< whether some run was forecast

    const RunSummary& run(int position) const { return (*runs)[static_cast<std::size_t>(position)]; }
};
using RunListPtr = std::shared_ptr<const RunList>;

RunListPtr prepareRuns(std::shared_ptr<const std::vector<RunSummary>> runs);

/// Which runs are shown, and how.
struct RunQuery
{
    QString filter;   ///< words, each in some cell, ignoring case
    std::string text; ///< the evaluation that perplexities are of; empty: the first of each run
    RunColumn column = RunColumn::Id;
    Qt::SortOrder order = Qt::DescendingOrder;

    bool operator==(const RunQuery&) const = default;
};

/// The answer. Immutable, shared by all threads.
struct RunView
{
    RunListPtr list;
    RunQuery query;
    std::vector<int> rows;                        ///< positions in the list
    std::unordered_map<std::int64_t, int> rowOf;  ///< by run
    std::array<bool, runColumnCount> differing{}; ///< whether the shown runs differ in a column

    int size() const { return static_cast<int>(rows.size()); }
    const RunSummary& run(int row) const { return list->run(rows[static_cast<std::size_t>(row)]); }
};
using RunViewPtr = std::shared_ptr<const RunView>;

/// Runs without a value come last in either order; equal ones newest first. Stops early, with whatever it has, when
/// asked to.
RunViewPtr arrangeRuns(const RunListPtr& list, const RunQuery& query, const std::stop_token& stop);

} // namespace rankwright::ui
