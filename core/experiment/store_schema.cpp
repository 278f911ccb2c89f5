#include "core/experiment/store_schema.h"

#include "core/base/error.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <array>
#include <fmt/format.h>

namespace rankwright {

namespace {

// Columns of floating-point figures have no NOT NULL: SQLite keeps NaN as NULL.
constexpr const char* initialTables = R"sql(
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    method TEXT NOT NULL,
    allocation TEXT NOT NULL,
    structure TEXT NOT NULL,
    sequential TEXT NOT NULL,
    recipe TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    model_fingerprint TEXT NOT NULL DEFAULT '',
    calibration_fingerprint TEXT NOT NULL DEFAULT '',
    program_version TEXT NOT NULL,
    device TEXT NOT NULL,
    blas TEXT NOT NULL,
    threads INTEGER NOT NULL,
    host TEXT NOT NULL,
    process TEXT NOT NULL,
    target_ratio REAL,
    kept_ratio REAL,
    whole_model_ratio REAL,
    parameters INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    folder TEXT NOT NULL DEFAULT '',
    export_folder TEXT NOT NULL DEFAULT '',
    calibration_reused INTEGER NOT NULL DEFAULT 0,
    started TEXT NOT NULL,
    finished TEXT NOT NULL DEFAULT '',
    seconds REAL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT ''
);
CREATE INDEX runs_fingerprint ON runs (fingerprint);
CREATE TABLE linears (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    position INTEGER,
    rank INTEGER NOT NULL,
    structure TEXT NOT NULL,
    kept_parameters INTEGER NOT NULL,
    dense_parameters INTEGER NOT NULL,
    predicted_loss REAL,
    measured_loss REAL,
    total_energy REAL,
    held_out_error REAL,
    seconds REAL,
    resumed INTEGER NOT NULL,
    notes TEXT NOT NULL,
    PRIMARY KEY (run, name)
);
CREATE TABLE spectra (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    linear TEXT NOT NULL,
    length INTEGER NOT NULL,
    singular_values BLOB NOT NULL,
    PRIMARY KEY (run, linear)
);
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    text_rows INTEGER NOT NULL,
    window_length INTEGER NOT NULL,
    window_count INTEGER NOT NULL,
    window_order TEXT NOT NULL,
    seed INTEGER NOT NULL,
    bos_per_window INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    predicted_tokens INTEGER NOT NULL,
    original_perplexity REAL,
    original_nll BLOB NOT NULL,
    original_seconds REAL,
    original_tokens_per_second REAL,
    compressed_perplexity REAL,
    compressed_nll BLOB NOT NULL,
    compressed_seconds REAL,
    compressed_tokens_per_second REAL
);
CREATE INDEX evaluations_run ON evaluations (run);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    linear TEXT NOT NULL,
    message TEXT NOT NULL,
    value REAL
);
CREATE INDEX events_run ON events (run);
CREATE TABLE artefacts (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL
);
CREATE INDEX artefacts_run ON artefacts (run);
CREATE TABLE stages (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    seconds REAL,
    PRIMARY KEY (run, position)
);
)sql";

constexpr const char* densePerplexityTable = R"sql(
CREATE TABLE dense_perplexities (
    model_fingerprint TEXT NOT NULL,
    windows_fingerprint TEXT NOT NULL,
    perplexity REAL,
    windows INTEGER NOT NULL,
    window_length INTEGER NOT NULL,
    predicted_tokens INTEGER NOT NULL,
    window_nll BLOB NOT NULL,
    seconds REAL,
    tokens_per_second REAL,
    PRIMARY KEY (model_fingerprint, windows_fingerprint)
);
)sql";

// The list of all runs shows perplexities: with them in the index it does not read the window losses in between.
constexpr const char* perplexityIndex = R"sql(
DROP INDEX evaluations_run;
CREATE INDEX evaluations_run ON evaluations (run, id, name, original_perplexity, compressed_perplexity);
)sql";

// Forecasts of perplexity start from the nats that a run was predicted to cost.
constexpr const char* natsColumns = R"sql(
ALTER TABLE linears ADD COLUMN nats REAL;
ALTER TABLE runs ADD COLUMN predicted_nats REAL;
ALTER TABLE runs ADD COLUMN vocabulary INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evaluations ADD COLUMN forecast_basis TEXT NOT NULL DEFAULT '';
ALTER TABLE evaluations ADD COLUMN forecast_runs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evaluations ADD COLUMN forecast REAL;
ALTER TABLE evaluations ADD COLUMN forecast_low REAL;
ALTER TABLE evaluations ADD COLUMN forecast_high REAL;
)sql";

constexpr const char* trainingPoints = R"sql(
CREATE TABLE training_points (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    part TEXT NOT NULL,
    step INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    loss REAL,
    held_out_loss REAL
);
CREATE INDEX training_points_run ON training_points (run);
)sql";

// The list of all runs shows forecasts too.
constexpr const char* forecastIndex = R"sql(
DROP INDEX evaluations_run;
CREATE INDEX evaluations_run ON evaluations (run, id, name, original_perplexity, compressed_perplexity, forecast_basis,
    forecast_runs, forecast, forecast_low, forecast_high);
)sql";

// Methods with a sparse part beside the factors.
constexpr const char* sparseEntriesColumn = R"sql(
ALTER TABLE linears ADD COLUMN sparse_entries INTEGER NOT NULL DEFAULT 0;
)sql";

/// Step i leads from version i to i + 1. A step is never changed once a release has written it.
constexpr std::array<const char*, storeVersion> steps{initialTables,      densePerplexityTable, perplexityIndex,
                                                      natsColumns,        trainingPoints,       forecastIndex,
                                                      sparseEntriesColumn};

int pragma(SQLite::Database& database, const char* name)
{
    return database.execAndGet(fmt::format("PRAGMA {}", name)).getInt();
}

/// Checks whose file this is and gives its version.
int checkedVersion(SQLite::Database& database, const std::filesystem::path& file)
{
    const int version = pragma(database, "user_version");
    const int application = pragma(database, "application_id");
    const bool empty = database.execAndGet("SELECT count(*) FROM sqlite_master").getInt() == 0;
    if (application != storeApplicationId && !(empty && version == 0))
        throw Error(ErrorKind::Corrupt, "is a database of another program, not a store of experiments", {.file = file});
    if (version > storeVersion)
        throw Error(ErrorKind::Unsupported,
                    fmt::format("is a store of version {}, newer than version {} of this program; use a newer program",
                                version, storeVersion),
                    {.file = file});
    if (version < 0 || (version == 0 && !empty))
        throw Error(ErrorKind::Corrupt, fmt::format("has the impossible store version {}", version), {.file = file});
    return version;
}

} // namespace

void migrateStore(SQLite::Database& database, const std::filesystem::path& file)
{
    while (checkedVersion(database, file) < storeVersion) {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        // Another process may have done the step while this one waited for the lock.
        const int version = checkedVersion(database, file);
        if (version < storeVersion) {
            database.exec(steps.at(static_cast<std::size_t>(version)));
            database.exec(fmt::format("PRAGMA application_id = {}", storeApplicationId));
            database.exec(fmt::format("PRAGMA user_version = {}", version + 1));
        }
        transaction.commit();
    }
}

} // namespace rankwright
