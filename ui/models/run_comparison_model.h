#pragma once

#include "core/experiment/run_comparison.h"
#include "ui/plots/plot_data.h"

#include <QAbstractTableModel>
#include <QStringList>

#include <memory>
#include <vector>

namespace rankwright::ui {

/// Two or more runs side by side. Everything else points into `runs`.
struct RunComparison
{
    explicit RunComparison(std::vector<RunRecord> records);
    RunComparison(const RunComparison&) = delete;
    RunComparison& operator=(const RunComparison&) = delete;

    std::vector<RunRecord> runs;
    std::vector<RecipeDifference> recipe;
    std::vector<ComparedLinear> linears;
    std::vector<ComparedEvaluation> evaluations;
    bool sameModel = false;

    /// "run 12", with its name where it has one.
    QString title(std::size_t run) const;
};
using RunComparisonPtr = std::shared_ptr<const RunComparison>;

/// One line of the overview: what it is, and one text a run.
struct ComparisonLine
{
    QString title;
    QStringList values;
    bool different = false;
};
/// State, ratios, sizes, time and perplexities, then recipe values that differ.
std::vector<ComparisonLine> overviewOf(const RunComparison& comparison);

enum class LinearQuantity { Rank, KeptRatio, MeasuredLoss };
/// A series a run: the linears of a role ("q_proj"; empty: all) in their order, or by block where a role is given.
PlotData plotLinears(const RunComparison& comparison, LinearQuantity quantity, const QString& role);
/// Roles of the compared linears in the order of the first block.
QStringList rolesOf(const RunComparison& comparison);

/// Rank, kept parameters, predicted and measured loss of every linear in every run, and how the measured losses differ
/// from the first run's. Losses are over that of rank 0.
class RunComparisonModel : public QAbstractTableModel
{
    Q_OBJECT

public:
    enum Role {
        SortRole = Qt::UserRole ///< the number behind the text, invalid where there is none
    };
    enum Figure { Rank, Kept, Predicted, Measured, FigureCount };

    explicit RunComparisonModel(RunComparisonPtr comparison, QObject* parent = nullptr);

    /// Columns: the name, FigureCount for every run, then a difference for every run but the first.
    int columnOf(std::size_t run, Figure figure) const;
    int differenceColumn(std::size_t run) const;

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    /// Run and figure of a column; figure FigureCount for a difference.
    std::pair<std::size_t, int> placeOf(int column) const;
    double number(int row, int column) const;

    RunComparisonPtr m_comparison;
};

} // namespace rankwright::ui
