#include "ui/models/run_comparison_model.h"

#include "core/base/bytes.h"
#include "ui/models/linear_tree_model.h"
#include "ui/models/run_columns.h"
#include "ui/session/text.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

double keptRatio(const LinearOutcome& outcome)
{
    return outcome.denseParameters > 0
               ? static_cast<double>(outcome.keptParameters) / static_cast<double>(outcome.denseParameters)
               : nothing;
}

double figureOf(const LinearOutcome* outcome, int figure)
{
    if (outcome == nullptr)
        return nothing;
    switch (figure) {
    case RunComparisonModel::Rank:
        return static_cast<double>(outcome->rank);
    case RunComparisonModel::Kept:
        return keptRatio(*outcome);
    case RunComparisonModel::Predicted:
        return relativePredictedLoss(*outcome);
    case RunComparisonModel::Measured:
        return relativeMeasuredLoss(*outcome);
    default:
        return nothing;
    }
}

QVariant figureTip(int figure)
{
    switch (figure) {
    case RunComparisonModel::Kept:
        return RunComparisonModel::tr("Kept share of the parameters of the linear");
    case RunComparisonModel::Predicted:
        return RunComparisonModel::tr("Loss of the analysis before anything was stored, over that of rank 0");
    case RunComparisonModel::Measured:
        return RunComparisonModel::tr("Loss of the stored factors on the same statistics, over that of rank 0");
    case RunComparisonModel::FigureCount:
        return RunComparisonModel::tr("Difference of the measured losses");
    default:
        return {};
    }
}

QString valueText(const Json& value)
{
    if (value.is_null())
        return RunComparisonModel::tr("none");
    return toQString(value.is_string() ? value.get<std::string>() : dumpJson(value));
}

/// The number after "layers." or "blk.", or -1.
int blockOf(const std::string& linear)
{
    for (const QString& part : toQString(linear).split(u'.')) {
        bool isNumber = false;
        const int block = part.toInt(&isNumber);
        if (isNumber)
            return block;
    }
    return -1;
}

} // namespace

RunComparison::RunComparison(std::vector<RunRecord> records)
    : runs(std::move(records))
{
    std::vector<const RunRecord*> all;
    std::vector<const Json*> recipes;
    for (const RunRecord& run : runs) {
        all.push_back(&run);
        recipes.push_back(&run.recipe);
    }
    recipe = recipeDifferences(recipes);
    linears = comparedLinears(all);
    evaluations = comparedEvaluations(all);
    sameModel = rankwright::sameModel(all);
}

QString RunComparison::title(std::size_t run) const
{
    const RunSummary& summary = runs[run].summary;
    const QString number = RunComparisonModel::tr("run %1").arg(summary.id);
    return summary.name.empty() ? number : number + u" "_s + toQString(summary.name);
}

std::vector<ComparisonLine> overviewOf(const RunComparison& comparison)
{
    std::vector<ComparisonLine> lines;
    const auto add = [&lines](const QString& title, const QStringList& values) {
        const bool different =
            std::ranges::any_of(values, [&values](const QString& value) { return value != values.front(); });
        lines.push_back({title, values, different});
    };
    const auto of = [&](const QString& title, const auto& text) {
        QStringList values;
        for (const RunRecord& run : comparison.runs)
            values.append(text(run));
        add(title, values);
    };
    const auto column = [&](const QString& title, RunColumn which) {
        of(title, [which](const RunRecord& run) { return runText(run.summary, which, {}); });
    };
    column(RunComparisonModel::tr("state"), RunColumn::State);
    column(RunComparisonModel::tr("kept of the linears"), RunColumn::KeptRatio);
    column(RunComparisonModel::tr("kept of the model"), RunColumn::WholeModelRatio);
    of(RunComparisonModel::tr("parameters"), [](const RunRecord& run) {
        return run.result.parameters > 0 ? groupedNumber(run.result.parameters) : QString();
    });
    of(RunComparisonModel::tr("weights as stored"), [](const RunRecord& run) {
        return run.result.bytes > 0 ? toQString(formatBytes(run.result.bytes)) : QString();
    });
    column(RunComparisonModel::tr("time"), RunColumn::Seconds);
    for (const ComparedEvaluation& evaluation : comparison.evaluations) {
        QStringList values;
        for (const EvaluationOutcome* outcome : evaluation.of)
            values.append(outcome == nullptr ? QString()
                                             : RunComparisonModel::tr("%1, originally %2")
                                                   .arg(perplexityText(outcome->compressed.perplexity),
                                                        perplexityText(outcome->original.perplexity)));
        const bool all = std::ranges::find(evaluation.of, nullptr) == evaluation.of.end();
        add(all && !sameWindows(evaluation)
                ? RunComparisonModel::tr("perplexity on %1 (not the same windows)").arg(toQString(evaluation.name))
                : RunComparisonModel::tr("perplexity on %1").arg(toQString(evaluation.name)),
            values);
    }
    for (const RecipeDifference& difference : comparison.recipe) {
        QStringList values;
        for (const Json& value : difference.values)
            values.append(valueText(value));
        add(RunComparisonModel::tr("recipe: %1").arg(toQString(difference.key)), values);
    }
    return lines;
}

QStringList rolesOf(const RunComparison& comparison)
{
    QStringList roles;
    for (const ComparedLinear& linear : comparison.linears)
        if (const QString role = shortName(linear.name); !roles.contains(role))
            roles.append(role);
    return roles;
}

PlotData plotLinears(const RunComparison& comparison, LinearQuantity quantity, const QString& role)
{
    PlotData data;
    data.x.integer = true;
    data.x.title = role.isEmpty() ? RunComparisonModel::tr("linear, in the order of the model")
                                  : RunComparisonModel::tr("block, %1").arg(role);
    int figure = RunComparisonModel::Rank;
    switch (quantity) {
    case LinearQuantity::Rank:
        data.y.title = RunComparisonModel::tr("rank");
        break;
    case LinearQuantity::KeptRatio:
        figure = RunComparisonModel::Kept;
        data.y.title = RunComparisonModel::tr("kept share of the parameters");
        break;
    case LinearQuantity::MeasuredLoss:
        figure = RunComparisonModel::Measured;
        data.y.title = RunComparisonModel::tr("measured loss / loss of rank 0");
        data.y.logarithmic = true;
        break;
    }
    for (std::size_t run = 0; run < comparison.runs.size(); ++run) {
        PlotSeries series;
        series.name = comparison.title(run);
        series.markers = !role.isEmpty();
        for (std::size_t i = 0; i < comparison.linears.size(); ++i) {
            const ComparedLinear& linear = comparison.linears[i];
            if (!role.isEmpty() && shortName(linear.name) != role)
                continue;
            const int block = blockOf(linear.name);
            const double x = role.isEmpty() || block < 0 ? static_cast<double>(i) : static_cast<double>(block);
            series.points.append({x, figureOf(linear.of[run], figure)});
        }
        data.series.append(series);
    }
    return data;
}

RunComparisonModel::RunComparisonModel(RunComparisonPtr comparison, QObject* parent)
    : QAbstractTableModel(parent)
    , m_comparison(std::move(comparison))
{}

int RunComparisonModel::columnOf(std::size_t run, Figure figure) const
{
    return 1 + static_cast<int>(run) * FigureCount + figure;
}

int RunComparisonModel::differenceColumn(std::size_t run) const
{
    return static_cast<int>(m_comparison->runs.size()) * FigureCount + static_cast<int>(run);
}

std::pair<std::size_t, int> RunComparisonModel::placeOf(int column) const
{
    const int figures = static_cast<int>(m_comparison->runs.size()) * FigureCount;
    if (column > figures)
        return {static_cast<std::size_t>(column - figures), FigureCount};
    return {static_cast<std::size_t>((column - 1) / FigureCount), (column - 1) % FigureCount};
}

int RunComparisonModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_comparison->linears.size());
}

int RunComparisonModel::columnCount(const QModelIndex& parent) const
{
    const auto runs = static_cast<int>(m_comparison->runs.size());
    return parent.isValid() ? 0 : 1 + runs * FigureCount + runs - 1;
}

double RunComparisonModel::number(int row, int column) const
{
    const ComparedLinear& linear = m_comparison->linears[static_cast<std::size_t>(row)];
    const auto [run, figure] = placeOf(column);
    if (figure < FigureCount)
        return figureOf(linear.of[run], figure);
    return figureOf(linear.of[run], Measured) - figureOf(linear.of.front(), Measured);
}

QVariant RunComparisonModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const ComparedLinear& linear = m_comparison->linears[static_cast<std::size_t>(index.row())];
    if (role == Qt::TextAlignmentRole)
        return index.column() > 0 ? QVariant(Qt::AlignRight | Qt::AlignVCenter) : QVariant();
    if (index.column() == 0) {
        if (role == SortRole)
            return index.row();
        return role == Qt::DisplayRole || role == Qt::ToolTipRole ? QVariant(toQString(linear.name)) : QVariant();
    }
    const double value = number(index.row(), index.column());
    if (role == SortRole)
        return std::isnan(value) ? QVariant() : QVariant(value);
    if (role != Qt::DisplayRole || std::isnan(value))
        return {};
    const auto [run, figure] = placeOf(index.column());
    switch (figure) {
    case Rank:
        return linear.of[run]->structure == StructureKind::Dense ? tr("dense") : QString::number(linear.of[run]->rank);
    case Kept:
        return percentText(value);
    case FigureCount:
        return QString((value > 0.0 ? u"+"_s : QString()) + lossText(value));
    default:
        return lossText(value);
    }
}

QVariant RunComparisonModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation == Qt::Horizontal && role == Qt::ToolTipRole)
        return figureTip(section == 0 ? -1 : placeOf(section).second);
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return {};
    if (section == 0)
        return tr("Linear");
    const auto [run, figure] = placeOf(section);
    const auto id = m_comparison->runs[run].summary.id;
    switch (figure) {
    case Rank:
        return tr("Rank, run %1").arg(id);
    case Kept:
        return tr("Kept, run %1").arg(id);
    case Predicted:
        return tr("Predicted, run %1").arg(id);
    case Measured:
        return tr("Measured, run %1").arg(id);
    default:
        return tr("Run %1 - run %2").arg(id).arg(m_comparison->runs.front().summary.id);
    }
}

} // namespace rankwright::ui
