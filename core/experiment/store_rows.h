#pragma once

#include "core/experiment/store.h"

#include <span>
#include <vector>

namespace SQLite {
class Column;
class Statement;
} // namespace SQLite

namespace rankwright {

// Rows of the store's tables to and from the structures of the engine.

/// Error(NotFound) of a run that is not in the store.
[[noreturn]] void throwNoRun(std::int64_t run, const std::filesystem::path& file);

/// Integers of a row; SQLite keeps 64 bits with a sign.
std::size_t readSize(const SQLite::Column& column);
/// NULL is NaN.
double readDouble(const SQLite::Column& column);
/// A blob of float64. Throws Error(Corrupt) if its size is not a multiple of eight.
std::vector<double> readDoubles(const SQLite::Column& column);

/// Binds one value after the other to the parameters of a statement, from the first on.
class Binder
{
public:
    explicit Binder(SQLite::Statement& statement)
        : m_statement(statement)
    {}
    Binder& text(std::string_view value);
    Binder& integer(std::int64_t value);
    Binder& size(std::size_t value);
    /// What is not finite becomes NULL.
    Binder& real(double value);
    Binder& doubles(std::span<const double> values);

private:
    SQLite::Statement& m_statement;
    int m_next = 1;
};

/// Columns of a runs row in the order that readSummary expects.
inline constexpr const char* summaryColumns =
    "id, state, process, name, model, method, allocation, structure, sequential, target_ratio, kept_ratio, "
    "whole_model_ratio, bytes, fingerprint, started, finished, seconds, error, tags, notes, "
    "predicted_nats, model_fingerprint, vocabulary";
/// Says Interrupted for a running run whose process is gone.
RunSummary readSummary(SQLite::Statement& row);

inline constexpr const char* linearColumns =
    "name, rank, structure, kept_parameters, dense_parameters, predicted_loss, measured_loss, total_energy, "
    "held_out_error, seconds, resumed, notes, nats, sparse_entries";
LinearOutcome readLinear(SQLite::Statement& row);
void bindLinear(Binder& binder, const LinearOutcome& outcome);

/// Columns of a forecast in the order that readForecast expects.
inline constexpr const char* forecastColumns = "forecast_basis, forecast_runs, forecast, forecast_low, forecast_high";
/// From the column `first` on; nothing where the run was not forecast.
std::optional<Forecast> readForecast(SQLite::Statement& row, int first);

/// Before forecastColumns.
inline constexpr const char* evaluationColumns =
    "name, text, text_rows, window_length, window_count, window_order, seed, bos_per_window, windows, "
    "predicted_tokens, original_perplexity, original_nll, original_seconds, original_tokens_per_second, "
    "compressed_perplexity, compressed_nll, compressed_seconds, compressed_tokens_per_second";
EvaluationOutcome readEvaluation(SQLite::Statement& row);
void bindEvaluation(Binder& binder, const EvaluationOutcome& outcome);

} // namespace rankwright
