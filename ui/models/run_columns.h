#pragma once

#include "core/experiment/store.h"

#include <QString>
#include <QStringList>

#include <string>

namespace rankwright::ui {

/// What is shown of a run, one column each.
enum class RunColumn {
    Id,
    State,
    Name,
    Model,
    Method,
    Structure,
    Allocation,
    Sequential,
    TargetRatio,
    KeptRatio,
    WholeModelRatio,
    Bytes,
    Original,
    Compressed,
    Forecast,
    ForecastError,
    Text,
    Seconds,
    Started,
    Tags,
    Notes
};
inline constexpr int runColumnCount = static_cast<int>(RunColumn::Notes) + 1;

QString runColumnTitle(RunColumn column);
/// What is measured, and on what.
QString runColumnTip(RunColumn column);
/// Whether the column is sorted and written as numbers.
bool isNumber(RunColumn column);

/// What the run gave on the evaluation of that name, or null. An empty `text` takes the run's first.
const RunPerplexity* perplexityOf(const RunSummary& run, const std::string& text);

/// As it stands in the table; empty where the run has none. `text` is the evaluation that perplexities are of.
QString runText(const RunSummary& run, RunColumn column, const std::string& text);
/// The number behind it, NaN where the run has none or the column is text.
double runNumber(const RunSummary& run, RunColumn column, const std::string& text);

QString runStateText(RunState state);
/// "8.1244"; empty for NaN.
QString perplexityText(double perplexity, int digits = 6);

} // namespace rankwright::ui
