#include "core/experiment/store_rows.h"

#include "core/base/error.h"
#include "core/experiment/process_identity.h"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>

namespace rankwright {

static_assert(std::endian::native == std::endian::little, "blobs of the store are little-endian");

namespace {

RunState stateFromName(const std::string& name)
{
    for (const RunState state :
         {RunState::Running, RunState::Finished, RunState::Cancelled, RunState::Failed, RunState::Interrupted}) {
        if (name == runStateName(state))
            return state;
    }
    throw Error(ErrorKind::Corrupt, fmt::format("the store holds the unknown run state '{}'", name));
}

/// What a name that the program has written means; one that it does not know is damage, not a wrong call.
template <typename FromName>
auto meaningOf(const std::string& name, std::string_view what, FromName fromName)
{
    try {
        return fromName(name);
    } catch (const Error&) {
        throw Error(ErrorKind::Corrupt, fmt::format("the store holds the unknown {} '{}'", what, name));
    }
}

/// A JSON list of texts.
std::vector<std::string> readTexts(const SQLite::Column& column, std::string_view what)
{
    const Json list = parseJson(column.getString(), std::string(what));
    if (!list.is_array() || !std::ranges::all_of(list, [](const Json& each) { return each.is_string(); }))
        throw Error(ErrorKind::Corrupt, fmt::format("the store holds {} that are no list of texts", what));
    return list.get<std::vector<std::string>>();
}

} // namespace

std::string_view runStateName(RunState state)
{
    switch (state) {
    case RunState::Running:
        return "running";
    case RunState::Finished:
        return "finished";
    case RunState::Cancelled:
        return "cancelled";
    case RunState::Failed:
        return "failed";
    case RunState::Interrupted:
        return "interrupted";
    }
    return "unknown";
}

void throwNoRun(std::int64_t run, const std::filesystem::path& file)
{
    throw Error(ErrorKind::NotFound,
                fmt::format("the store has no run {}; rankwright-cli runs lists those it has", run), {.file = file});
}

std::size_t readSize(const SQLite::Column& column)
{
    return static_cast<std::size_t>(column.getInt64());
}

double readDouble(const SQLite::Column& column)
{
    return column.isNull() ? std::numeric_limits<double>::quiet_NaN() : column.getDouble();
}

std::vector<double> readDoubles(const SQLite::Column& column)
{
    const void* blob = column.getBlob();
    const auto bytes = static_cast<std::size_t>(column.getBytes());
    if (bytes % sizeof(double) != 0)
        throw Error(ErrorKind::Corrupt, fmt::format("the store holds a list of numbers of {} bytes", bytes));
    std::vector<double> values(bytes / sizeof(double));
    if (!values.empty())
        std::memcpy(values.data(), blob, bytes);
    return values;
}

Binder& Binder::text(std::string_view value)
{
    m_statement.bind(m_next++, std::string(value));
    return *this;
}

Binder& Binder::integer(std::int64_t value)
{
    m_statement.bind(m_next++, value);
    return *this;
}

Binder& Binder::size(std::size_t value)
{
    return integer(static_cast<std::int64_t>(value));
}

Binder& Binder::real(double value)
{
    if (std::isfinite(value))
        m_statement.bind(m_next++, value);
    else
        m_statement.bind(m_next++);
    return *this;
}

Binder& Binder::doubles(std::span<const double> values)
{
    // An empty span may have no address, which SQLite would take for NULL.
    const void* data = values.empty() ? static_cast<const void*>("") : values.data();
    m_statement.bind(m_next++, data, static_cast<int>(values.size_bytes()));
    return *this;
}

RunSummary readSummary(SQLite::Statement& row)
{
    RunSummary summary;
    summary.id = row.getColumn(0).getInt64();
    summary.state = stateFromName(row.getColumn(1).getString());
    if (summary.state == RunState::Running && !processMayLive(row.getColumn(2).getString()))
        summary.state = RunState::Interrupted;
    summary.name = row.getColumn(3).getString();
    summary.model = row.getColumn(4).getString();
    summary.method = row.getColumn(5).getString();
    summary.allocation = row.getColumn(6).getString();
    summary.structure = row.getColumn(7).getString();
    summary.sequential = row.getColumn(8).getString();
    summary.targetKeptRatio = readDouble(row.getColumn(9));
    summary.keptRatio = readDouble(row.getColumn(10));
    summary.wholeModelRatio = readDouble(row.getColumn(11));
    summary.bytes = readSize(row.getColumn(12));
    summary.fingerprint = row.getColumn(13).getString();
    summary.started = row.getColumn(14).getString();
    summary.finished = row.getColumn(15).getString();
    summary.seconds = readDouble(row.getColumn(16));
    summary.error = row.getColumn(17).getString();
    summary.tags = row.getColumn(18).getString();
    summary.notes = row.getColumn(19).getString();
    summary.predictedNats = readDouble(row.getColumn(20));
    summary.modelFingerprint = row.getColumn(21).getString();
    summary.vocabulary = readSize(row.getColumn(22));
    return summary;
}

LinearOutcome readLinear(SQLite::Statement& row)
{
    LinearOutcome outcome;
    outcome.name = row.getColumn(0).getString();
    outcome.rank = readSize(row.getColumn(1));
    outcome.structure = meaningOf(row.getColumn(2).getString(), "structure", structureFromName);
    outcome.left = outcome.structure == StructureKind::Dense;
    outcome.keptParameters = readSize(row.getColumn(3));
    outcome.denseParameters = readSize(row.getColumn(4));
    outcome.predictedLoss = readDouble(row.getColumn(5));
    outcome.measuredLoss = readDouble(row.getColumn(6));
    outcome.totalEnergy = readDouble(row.getColumn(7));
    outcome.heldOutError = readDouble(row.getColumn(8));
    outcome.seconds = readDouble(row.getColumn(9));
    outcome.resumed = row.getColumn(10).getInt() != 0;
    outcome.notes = readTexts(row.getColumn(11), "notes of a linear");
    outcome.nats = readDouble(row.getColumn(12));
    outcome.entries = readSize(row.getColumn(13));
    return outcome;
}

void bindLinear(Binder& binder, const LinearOutcome& outcome)
{
    binder.text(outcome.name)
        .size(outcome.rank)
        .text(structureName(outcome.structure))
        .size(outcome.keptParameters)
        .size(outcome.denseParameters)
        .real(outcome.predictedLoss)
        .real(outcome.measuredLoss)
        .real(outcome.totalEnergy)
        .real(outcome.heldOutError)
        .real(outcome.seconds)
        .integer(outcome.resumed ? 1 : 0)
        .text(dumpJson(Json(outcome.notes)))
        .real(outcome.nats)
        .size(outcome.entries);
}

std::optional<Forecast> readForecast(SQLite::Statement& row, int first)
{
    const std::string basis = row.getColumn(first).getString();
    if (basis.empty())
        return std::nullopt;
    Forecast forecast;
    forecast.basis = meaningOf(basis, "basis of a forecast", forecastBasisFromName);
    forecast.runs = readSize(row.getColumn(first + 1));
    forecast.perplexity = readDouble(row.getColumn(first + 2));
    forecast.low = readDouble(row.getColumn(first + 3));
    forecast.high = readDouble(row.getColumn(first + 4));
    return forecast;
}

EvaluationOutcome readEvaluation(SQLite::Statement& row)
{
    EvaluationOutcome outcome;
    outcome.name = row.getColumn(0).getString();
    outcome.windows.text = row.getColumn(1).getString();
    outcome.windows.rows = row.getColumn(2).getInt() != 0;
    outcome.windows.length = readSize(row.getColumn(3));
    outcome.windows.count = readSize(row.getColumn(4));
    outcome.windows.order = row.getColumn(5).getString() == "random" ? WindowOrder::Random : WindowOrder::Consecutive;
    outcome.windows.seed = static_cast<std::uint64_t>(row.getColumn(6).getInt64());
    outcome.windows.bosPerWindow = row.getColumn(7).getInt() != 0;
    for (PerplexityResult* result : {&outcome.original, &outcome.compressed}) {
        const int first = result == &outcome.original ? 10 : 14;
        result->windows = readSize(row.getColumn(8));
        result->windowLength = outcome.windows.length;
        result->predictedTokens = readSize(row.getColumn(9));
        result->perplexity = readDouble(row.getColumn(first));
        result->windowNll = readDoubles(row.getColumn(first + 1));
        result->seconds = readDouble(row.getColumn(first + 2));
        result->tokensPerSecond = readDouble(row.getColumn(first + 3));
    }
    outcome.forecast = readForecast(row, 18);
    return outcome;
}

void bindEvaluation(Binder& binder, const EvaluationOutcome& outcome)
{
    binder.text(outcome.name)
        .text(outcome.windows.text.string())
        .integer(outcome.windows.rows ? 1 : 0)
        .size(outcome.windows.length)
        .size(outcome.windows.count)
        .text(outcome.windows.order == WindowOrder::Random ? "random" : "consecutive")
        .integer(static_cast<std::int64_t>(outcome.windows.seed))
        .integer(outcome.windows.bosPerWindow ? 1 : 0)
        .size(outcome.compressed.windows)
        .size(outcome.compressed.predictedTokens);
    for (const PerplexityResult* result : {&outcome.original, &outcome.compressed})
        binder.real(result->perplexity).doubles(result->windowNll).real(result->seconds).real(result->tokensPerSecond);
    const Forecast forecast = outcome.forecast.value_or(Forecast{});
    binder.text(outcome.forecast ? forecastBasisName(forecast.basis) : "")
        .size(forecast.runs)
        .real(forecast.perplexity)
        .real(forecast.low)
        .real(forecast.high);
}

} // namespace rankwright
