#include "ui/models/run_columns.h"

#include "core/base/bytes.h"
#include "ui/models/job_model.h"
#include "ui/models/linear_tree_model.h"
#include "ui/session/text.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QLocale>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

struct RunColumnTexts
{
    Q_DECLARE_TR_FUNCTIONS(RunColumnTexts)
};

/// What is not known yet is stored as 0.
double positive(double value)
{
    return value > 0.0 ? value : nothing;
}

QString ratioText(double ratio)
{
    return percentText(positive(ratio), 2);
}

QString secondsText(double seconds)
{
    constexpr double shortTime = 10.0;
    if (!(seconds > 0.0))
        return {};
    return seconds < shortTime ? RunColumnTexts::tr("%1 s").arg(QLocale().toString(seconds, 'f', 1))
                               : durationText(seconds);
}

/// A forecast with its range and, in a word or two, what it rests on.
QString forecastText(const Forecast& forecast)
{
    constexpr int digits = 4;
    const auto state = [&] {
        switch (forecast.basis) {
        case ForecastBasis::Prior:
            return RunColumnTexts::tr("uncalibrated");
        case ForecastBasis::OtherModels:
            return RunColumnTexts::tr("by other models");
        case ForecastBasis::OtherTexts:
            return RunColumnTexts::tr("by %1 on other texts").arg(forecast.runs);
        case ForecastBasis::Text:
            return RunColumnTexts::tr("by %1").arg(forecast.runs);
        }
        return QString();
    };
    return RunColumnTexts::tr("%1 (%2 to %3), %4")
        .arg(perplexityText(forecast.perplexity, digits), perplexityText(forecast.low, digits),
             perplexityText(forecast.high, digits), state());
}

QString startedText(const std::string& started)
{
    const QDateTime time = QDateTime::fromString(toQString(started), Qt::ISODateWithMs);
    return time.isValid() ? time.toLocalTime().toString(u"yyyy-MM-dd HH:mm:ss"_s) : toQString(started);
}

} // namespace

QString runStateText(RunState state)
{
    switch (state) {
    case RunState::Running:
        return RunColumnTexts::tr("running");
    case RunState::Finished:
        return RunColumnTexts::tr("finished");
    case RunState::Cancelled:
        return RunColumnTexts::tr("cancelled");
    case RunState::Failed:
        return RunColumnTexts::tr("failed");
    case RunState::Interrupted:
        return RunColumnTexts::tr("interrupted");
    }
    return {};
}

QString perplexityText(double perplexity, int digits)
{
    return std::isfinite(perplexity) ? QLocale().toString(perplexity, 'g', digits) : QString();
}

QString runColumnTitle(RunColumn column)
{
    switch (column) {
    case RunColumn::Id:
        return RunColumnTexts::tr("Run");
    case RunColumn::State:
        return RunColumnTexts::tr("State");
    case RunColumn::Name:
        return RunColumnTexts::tr("Name");
    case RunColumn::Model:
        return RunColumnTexts::tr("Model");
    case RunColumn::Method:
        return RunColumnTexts::tr("Method");
    case RunColumn::Structure:
        return RunColumnTexts::tr("Structure");
    case RunColumn::Allocation:
        return RunColumnTexts::tr("Allocation");
    case RunColumn::Sequential:
        return RunColumnTexts::tr("Statistics of");
    case RunColumn::TargetRatio:
        return RunColumnTexts::tr("Target");
    case RunColumn::KeptRatio:
        return RunColumnTexts::tr("Kept");
    case RunColumn::WholeModelRatio:
        return RunColumnTexts::tr("Whole model");
    case RunColumn::Bytes:
        return RunColumnTexts::tr("Size");
    case RunColumn::Original:
        return RunColumnTexts::tr("Original ppl");
    case RunColumn::Compressed:
        return RunColumnTexts::tr("Ppl");
    case RunColumn::Forecast:
        return RunColumnTexts::tr("Forecast ppl");
    case RunColumn::ForecastError:
        return RunColumnTexts::tr("Off by");
    case RunColumn::Text:
        return RunColumnTexts::tr("Ppl on");
    case RunColumn::Seconds:
        return RunColumnTexts::tr("Time");
    case RunColumn::Started:
        return RunColumnTexts::tr("Started");
    case RunColumn::Tags:
        return RunColumnTexts::tr("Tags");
    case RunColumn::Notes:
        return RunColumnTexts::tr("Notes");
    }
    return {};
}

QString runColumnTip(RunColumn column)
{
    switch (column) {
    case RunColumn::Sequential:
        return RunColumnTexts::tr(
            "Which model the calibration statistics are of: the dense one, the compressed prefix, or anchored");
    case RunColumn::TargetRatio:
        return RunColumnTexts::tr("Kept parameters of the compressed linears that were asked for");
    case RunColumn::KeptRatio:
        return RunColumnTexts::tr("Kept parameters of the compressed linears");
    case RunColumn::WholeModelRatio:
        return RunColumnTexts::tr("Kept parameters of the whole model, with embeddings and norms");
    case RunColumn::Bytes:
        return RunColumnTexts::tr("Weights of the whole compressed model as stored");
    case RunColumn::Original:
        return RunColumnTexts::tr("Perplexity of the original model on the text of the column \"Ppl on\"");
    case RunColumn::Compressed:
        return RunColumnTexts::tr("Perplexity of the compressed model on the text of the column \"Ppl on\"");
    case RunColumn::Forecast:
        return RunColumnTexts::tr(
            "Perplexity that was forecast before it was measured, the range of nine of ten runs, and how many "
            "measured runs of the same model calibrated it");
    case RunColumn::ForecastError:
        return RunColumnTexts::tr("How far the forecast was above (+) or below (-) what was measured");
    case RunColumn::Started:
        return RunColumnTexts::tr("In local time");
    case RunColumn::Tags:
    case RunColumn::Notes:
        return RunColumnTexts::tr("Press F2 or double click to change");
    default:
        return {};
    }
}

bool isNumber(RunColumn column)
{
    switch (column) {
    case RunColumn::Id:
    case RunColumn::TargetRatio:
    case RunColumn::KeptRatio:
    case RunColumn::WholeModelRatio:
    case RunColumn::Bytes:
    case RunColumn::Original:
    case RunColumn::Compressed:
    case RunColumn::Forecast:
    case RunColumn::ForecastError:
    case RunColumn::Seconds:
        return true;
    default:
        return false;
    }
}

const RunPerplexity* perplexityOf(const RunSummary& run, const std::string& text)
{
    if (run.perplexities.empty())
        return nullptr;
    if (text.empty())
        return &run.perplexities.front();
    const auto found = std::ranges::find(run.perplexities, text, &RunPerplexity::text);
    return found == run.perplexities.end() ? nullptr : &*found;
}

QString runText(const RunSummary& run, RunColumn column, const std::string& text)
{
    switch (column) {
    case RunColumn::Id:
        return QString::number(run.id);
    case RunColumn::State:
        return runStateText(run.state);
    case RunColumn::Name:
        return toQString(run.name);
    case RunColumn::Model:
        return toQString(std::filesystem::path(run.model).filename());
    case RunColumn::Method:
        return toQString(run.method);
    case RunColumn::Structure:
        return toQString(run.structure);
    case RunColumn::Allocation:
        return toQString(run.allocation);
    case RunColumn::Sequential:
        return toQString(run.sequential);
    case RunColumn::TargetRatio:
        return ratioText(run.targetKeptRatio);
    case RunColumn::KeptRatio:
        return ratioText(run.keptRatio);
    case RunColumn::WholeModelRatio:
        return ratioText(run.wholeModelRatio);
    case RunColumn::Bytes:
        return run.bytes > 0 ? toQString(formatBytes(run.bytes)) : QString();
    case RunColumn::Original:
    case RunColumn::Compressed:
        return perplexityText(runNumber(run, column, text));
    case RunColumn::Forecast: {
        const RunPerplexity* measured = perplexityOf(run, text);
        return measured != nullptr && measured->forecast ? forecastText(*measured->forecast) : QString();
    }
    case RunColumn::ForecastError: {
        const double error = runNumber(run, column, text);
        return std::isnan(error) ? QString() : (error < 0.0 ? QString() : u"+"_s) + percentText(error, 1);
    }
    case RunColumn::Text: {
        const RunPerplexity* measured = perplexityOf(run, text);
        return measured != nullptr ? toQString(measured->text) : QString();
    }
    case RunColumn::Seconds:
        return secondsText(run.seconds);
    case RunColumn::Started:
        return startedText(run.started);
    case RunColumn::Tags:
        return toQString(run.tags);
    case RunColumn::Notes:
        return toQString(run.notes);
    }
    return {};
}

double runNumber(const RunSummary& run, RunColumn column, const std::string& text)
{
    switch (column) {
    case RunColumn::Id:
        return static_cast<double>(run.id);
    case RunColumn::TargetRatio:
        return positive(run.targetKeptRatio);
    case RunColumn::KeptRatio:
        return positive(run.keptRatio);
    case RunColumn::WholeModelRatio:
        return positive(run.wholeModelRatio);
    case RunColumn::Bytes:
        return run.bytes > 0 ? static_cast<double>(run.bytes) : nothing;
    case RunColumn::Original:
    case RunColumn::Compressed: {
        const RunPerplexity* measured = perplexityOf(run, text);
        if (measured == nullptr)
            return nothing;
        return column == RunColumn::Original ? measured->original : measured->compressed;
    }
    case RunColumn::Forecast:
    case RunColumn::ForecastError: {
        const RunPerplexity* measured = perplexityOf(run, text);
        if (measured == nullptr || !measured->forecast)
            return nothing;
        const double forecast = measured->forecast->perplexity;
        return column == RunColumn::Forecast ? forecast : forecast / measured->compressed - 1.0;
    }
    case RunColumn::Seconds:
        return positive(run.seconds);
    default:
        return nothing;
    }
}

} // namespace rankwright::ui
