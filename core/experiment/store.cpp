#include "core/experiment/store.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/database_worker.h"
#include "core/experiment/process_identity.h"
#include "core/experiment/store_rows.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <unicode/unistr.h>

namespace rankwright {

namespace {

constexpr const char* now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

icu::UnicodeString folded(const std::string& text)
{
    return icu::UnicodeString::fromUTF8(text).foldCase();
}

bool matches(const RunSummary& summary, const icu::UnicodeString& wanted)
{
    for (const std::string* text : {&summary.name, &summary.model, &summary.method, &summary.tags, &summary.notes}) {
        if (folded(*text).indexOf(wanted) >= 0)
            return true;
    }
    return false;
}

void insertLinear(SQLite::Database& database, std::int64_t run, const LinearOutcome& outcome)
{
    SQLite::Statement statement(
        database, fmt::format("INSERT INTO linears (run, {}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                              "ON CONFLICT (run, name) DO UPDATE SET rank = excluded.rank, "
                              "structure = excluded.structure, kept_parameters = excluded.kept_parameters, "
                              "dense_parameters = excluded.dense_parameters, predicted_loss = excluded.predicted_loss, "
                              "measured_loss = excluded.measured_loss, total_energy = excluded.total_energy, "
                              "held_out_error = excluded.held_out_error, seconds = excluded.seconds, "
                              "resumed = excluded.resumed, notes = excluded.notes, nats = excluded.nats, "
                              "sparse_entries = excluded.sparse_entries",
                              linearColumns));
    Binder binder(statement);
    binder.integer(run);
    bindLinear(binder, outcome);
    statement.exec();
}

void updateText(DatabaseWorker& worker, const std::filesystem::path& file, const char* column, std::int64_t run,
                const std::string& value)
{
    worker.call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(database, fmt::format("UPDATE runs SET {} = ? WHERE id = ?", column));
        Binder(statement).text(value).integer(run);
        if (statement.exec() == 0)
            throwNoRun(run, file);
    });
}

/// Of all runs, by run and in the order they were recorded.
std::vector<std::pair<std::int64_t, RunPerplexity>> readPerplexities(SQLite::Database& database)
{
    std::vector<std::pair<std::int64_t, RunPerplexity>> result;
    SQLite::Statement row(database, fmt::format("SELECT run, name, original_perplexity, compressed_perplexity, {} "
                                                "FROM evaluations ORDER BY run, id",
                                                forecastColumns));
    while (row.executeStep())
        result.emplace_back(row.getColumn(0).getInt64(), RunPerplexity{.text = row.getColumn(1).getString(),
                                                                       .original = readDouble(row.getColumn(2)),
                                                                       .compressed = readDouble(row.getColumn(3)),
                                                                       .forecast = readForecast(row, 4)});
    return result;
}

/// Everything of a run beside its row in `runs`.
void readDetails(SQLite::Database& database, std::int64_t id, RunResult& result)
{
    SQLite::Statement linear(database,
                             fmt::format("SELECT {} FROM linears WHERE run = ? ORDER BY coalesce(position, {}), rowid",
                                         linearColumns, std::numeric_limits<std::int64_t>::max()));
    linear.bind(1, id);
    while (linear.executeStep())
        result.linears.push_back(readLinear(linear));

    SQLite::Statement evaluation(database, fmt::format("SELECT {}, {} FROM evaluations WHERE run = ? ORDER BY id",
                                                       evaluationColumns, forecastColumns));
    evaluation.bind(1, id);
    while (evaluation.executeStep())
        result.evaluations.push_back(readEvaluation(evaluation));

    SQLite::Statement event(database, "SELECT kind, linear, message, value FROM events WHERE run = ? ORDER BY id");
    event.bind(1, id);
    while (event.executeStep())
        result.events.push_back({event.getColumn(0).getString(), event.getColumn(1).getString(),
                                 event.getColumn(2).getString(), readDouble(event.getColumn(3))});

    SQLite::Statement stage(database, "SELECT name, seconds FROM stages WHERE run = ? ORDER BY position");
    stage.bind(1, id);
    while (stage.executeStep())
        result.stageSeconds.emplace_back(stage.getColumn(0).getString(), readDouble(stage.getColumn(1)));
}

} // namespace

Store::Store(const std::filesystem::path& file)
    : m_file(std::filesystem::absolute(file))
{
    createFolders(m_file.parent_path());
    m_worker = std::make_unique<DatabaseWorker>(m_file);
}

Store::~Store() = default;

const std::filesystem::path& Store::file() const
{
    return m_file;
}

bool Store::isWritable() const
{
    return m_worker->isWritable();
}

std::filesystem::path Store::runsFolder() const
{
    return m_file.parent_path() / (m_file.stem().string() + ".runs");
}

std::int64_t Store::beginRun(const Recipe& recipe, const RunEnvironment& environment, const std::string& fingerprint)
{
    const std::string process = processIdentity();
    const std::string recipeText = dumpJson(recipeToJson(recipe));
    return m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(
            database,
            fmt::format("INSERT INTO runs (state, name, model, method, allocation, structure, sequential, recipe, "
                        "fingerprint, program_version, device, blas, threads, host, process, target_ratio, started) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {})",
                        now));
        Binder(statement)
            .text(runStateName(RunState::Running))
            .text(recipe.name)
            .text(recipe.model.string())
            .text(recipe.method)
            .text(recipe.allocation)
            .text(structureName(recipe.structure))
            .text(sequentialModeName(recipe.sequential))
            .text(recipeText)
            .text(fingerprint)
            .text(environment.programVersion)
            .text(environment.device)
            .text(environment.blas)
            .size(environment.threads)
            .text(environment.host)
            .text(process)
            .real(recipe.keptRatio);
        statement.exec();
        return static_cast<std::int64_t>(database.getLastInsertRowid());
    });
}

void Store::setFingerprints(std::int64_t run, const std::string& fingerprint, const std::string& model,
                            const std::string& calibration)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(database, "UPDATE runs SET fingerprint = ?, model_fingerprint = ?, "
                                              "calibration_fingerprint = ? WHERE id = ?");
        Binder(statement).text(fingerprint).text(model).text(calibration).integer(run);
        if (statement.exec() == 0)
            throwNoRun(run, m_file);
    });
}

void Store::recordLinear(std::int64_t run, const LinearOutcome& outcome)
{
    m_worker->call(true, [&](SQLite::Database& database) { insertLinear(database, run, outcome); });
}

void Store::recordSpectrum(std::int64_t run, const std::string& linear, std::span<const double> singularValues)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(
            database, "INSERT OR REPLACE INTO spectra (run, linear, length, singular_values) VALUES (?, ?, ?, ?)");
        Binder(statement).integer(run).text(linear).size(singularValues.size()).doubles(singularValues);
        statement.exec();
    });
}

void Store::recordEvent(std::int64_t run, const NumericEvent& event)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(database,
                                    "INSERT INTO events (run, kind, linear, message, value) VALUES (?, ?, ?, ?, ?)");
        Binder(statement).integer(run).text(event.kind).text(event.linear).text(event.message).real(event.value);
        statement.exec();
    });
}

void Store::recordEvaluation(std::int64_t run, const EvaluationOutcome& outcome)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(
            database, fmt::format("INSERT INTO evaluations (run, {}, {}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, "
                                  "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  evaluationColumns, forecastColumns));
        Binder binder(statement);
        binder.integer(run);
        bindEvaluation(binder, outcome);
        statement.exec();
    });
}

void Store::recordTrainingPoint(std::int64_t run, const TrainingPoint& point)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(database, "INSERT INTO training_points (run, stage, part, step, steps, loss, "
                                              "held_out_loss) VALUES (?, ?, ?, ?, ?, ?, ?)");
        Binder(statement)
            .integer(run)
            .text(point.stage)
            .text(point.part)
            .size(point.step)
            .size(point.steps)
            .real(point.loss)
            .real(point.heldOutLoss);
        statement.exec();
    });
}

std::vector<TrainingPoint> Store::trainingPoints(std::int64_t run) const
{
    return m_worker->call(false, [&](SQLite::Database& database) {
        SQLite::Statement row(database, "SELECT stage, part, step, steps, loss, held_out_loss FROM training_points "
                                        "WHERE run = ? ORDER BY id");
        Binder(row).integer(run);
        std::vector<TrainingPoint> points;
        while (row.executeStep())
            points.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(), readSize(row.getColumn(2)),
                              readSize(row.getColumn(3)), readDouble(row.getColumn(4)), readDouble(row.getColumn(5))});
        return points;
    });
}

std::vector<std::int64_t> Store::equalRuns(std::int64_t run) const
{
    return m_worker->call(false, [&](SQLite::Database& database) {
        SQLite::Statement row(database, "SELECT id FROM runs WHERE fingerprint = (SELECT fingerprint FROM runs WHERE "
                                        "id = ?1) AND fingerprint <> '' AND id <> ?1 ORDER BY id DESC");
        row.bind(1, run);
        std::vector<std::int64_t> runs;
        while (row.executeStep())
            runs.push_back(row.getColumn(0).getInt64());
        return runs;
    });
}

void Store::recordArtefact(std::int64_t run, const std::string& kind, const std::filesystem::path& path,
                           std::size_t bytes)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(database, "INSERT INTO artefacts (run, kind, path, bytes) VALUES (?, ?, ?, ?)");
        Binder(statement).integer(run).text(kind).text(path.string()).size(bytes);
        statement.exec();
    });
}

void Store::finishRun(std::int64_t run, RunState state, const RunResult& result, const std::string& error)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(
            database, fmt::format("UPDATE runs SET state = ?, error = ?, kept_ratio = ?, whole_model_ratio = ?, "
                                  "parameters = ?, bytes = ?, folder = ?, export_folder = ?, calibration_reused = ?, "
                                  "predicted_nats = ?, vocabulary = ?, "
                                  "finished = {0}, seconds = (julianday({0}) - julianday(started)) * 86400 "
                                  "WHERE id = ?",
                                  now));
        Binder(statement)
            .text(runStateName(state))
            .text(error)
            .real(result.keptRatio)
            .real(result.wholeModelRatio)
            .size(result.parameters)
            .size(result.bytes)
            .text(result.folder.string())
            .text(result.exportFolder.string())
            .integer(result.calibrationReused ? 1 : 0)
            .real(result.predictedNats)
            .size(result.vocabulary)
            .integer(run);
        if (statement.exec() == 0)
            throwNoRun(run, m_file);

        SQLite::Statement position(database, "UPDATE linears SET position = ? WHERE run = ? AND name = ?");
        for (std::size_t i = 0; i < result.linears.size(); ++i) {
            insertLinear(database, run, result.linears[i]);
            Binder(position).size(i).integer(run).text(result.linears[i].name);
            position.exec();
            position.reset();
        }
        SQLite::Statement stage(database,
                                "INSERT OR REPLACE INTO stages (run, position, name, seconds) VALUES (?, ?, ?, ?)");
        for (std::size_t i = 0; i < result.stageSeconds.size(); ++i) {
            Binder(stage).integer(run).size(i).text(result.stageSeconds[i].first).real(result.stageSeconds[i].second);
            stage.exec();
            stage.reset();
        }
    });
}

std::vector<RunSummary> Store::runs(const std::string& filter) const
{
    return m_worker->call(false, [&](SQLite::Database& database) {
        const auto perplexities = readPerplexities(database);
        const icu::UnicodeString wanted = folded(filter);
        std::vector<RunSummary> result;
        SQLite::Statement row(database, fmt::format("SELECT {} FROM runs ORDER BY id DESC", summaryColumns));
        while (row.executeStep()) {
            RunSummary summary = readSummary(row);
            if (!wanted.isEmpty() && !matches(summary, wanted))
                continue;
            auto entry = std::ranges::lower_bound(perplexities, summary.id, {}, [](const auto& e) { return e.first; });
            for (; entry != perplexities.end() && entry->first == summary.id; ++entry)
                summary.perplexities.push_back(entry->second);
            result.push_back(std::move(summary));
        }
        return result;
    });
}

RunRecord Store::run(std::int64_t id) const
{
    return m_worker->call(false, [&](SQLite::Database& database) {
        SQLite::Statement row(
            database, fmt::format("SELECT {}, recipe, program_version, device, blas, threads, host, "
                                  "calibration_fingerprint, parameters, folder, export_folder, calibration_reused "
                                  "FROM runs WHERE id = ?",
                                  summaryColumns));
        row.bind(1, id);
        if (!row.executeStep())
            throwNoRun(id, m_file);
        RunRecord record;
        record.summary = readSummary(row);
        int column = 23;
        record.recipe = parseJson(row.getColumn(column++).getString(), m_file);
        record.environment.programVersion = row.getColumn(column++).getString();
        record.environment.device = row.getColumn(column++).getString();
        record.environment.blas = row.getColumn(column++).getString();
        record.environment.threads = readSize(row.getColumn(column++));
        record.environment.host = row.getColumn(column++).getString();
        RunResult& result = record.result;
        result.modelFingerprint = record.summary.modelFingerprint;
        result.predictedNats = record.summary.predictedNats;
        result.vocabulary = record.summary.vocabulary;
        result.calibrationFingerprint = row.getColumn(column++).getString();
        result.parameters = readSize(row.getColumn(column++));
        result.folder = row.getColumn(column++).getString();
        result.exportFolder = row.getColumn(column++).getString();
        result.calibrationReused = row.getColumn(column++).getInt() != 0;
        result.id = id;
        result.fingerprint = record.summary.fingerprint;
        result.keptRatio = record.summary.keptRatio;
        result.wholeModelRatio = record.summary.wholeModelRatio;
        result.bytes = record.summary.bytes;
        readDetails(database, id, result);
        for (const EvaluationOutcome& outcome : result.evaluations)
            record.summary.perplexities.push_back(
                {outcome.name, outcome.original.perplexity, outcome.compressed.perplexity, outcome.forecast});
        return record;
    });
}

std::vector<double> Store::spectrum(std::int64_t run, const std::string& linear) const
{
    return m_worker->call(false, [&](SQLite::Database& database) {
        SQLite::Statement row(database, "SELECT length, singular_values FROM spectra WHERE run = ? AND linear = ?");
        Binder(row).integer(run).text(linear);
        if (!row.executeStep())
            throw Error(ErrorKind::NotFound, fmt::format("run {} has no singular values of this linear", run),
                        {.file = m_file, .tensor = linear});
        std::vector<double> values = readDoubles(row.getColumn(1));
        if (values.size() != readSize(row.getColumn(0)))
            throw Error(
                ErrorKind::Corrupt,
                fmt::format("run {} has {} singular values of {}", run, values.size(), readSize(row.getColumn(0))),
                {.file = m_file, .tensor = linear});
        return values;
    });
}

void Store::setTags(std::int64_t run, const std::string& tags)
{
    updateText(*m_worker, m_file, "tags", run, tags);
}

void Store::setNotes(std::int64_t run, const std::string& notes)
{
    updateText(*m_worker, m_file, "notes", run, notes);
}

std::optional<PerplexityResult> Store::cachedPerplexity(const std::string& modelFingerprint,
                                                        const std::string& windowsFingerprint) const
{
    return m_worker->call(false, [&](SQLite::Database& database) -> std::optional<PerplexityResult> {
        SQLite::Statement row(database, "SELECT perplexity, windows, window_length, predicted_tokens, window_nll, "
                                        "seconds, tokens_per_second FROM dense_perplexities "
                                        "WHERE model_fingerprint = ? AND windows_fingerprint = ?");
        Binder(row).text(modelFingerprint).text(windowsFingerprint);
        if (!row.executeStep())
            return std::nullopt;
        PerplexityResult result;
        result.perplexity = readDouble(row.getColumn(0));
        result.windows = readSize(row.getColumn(1));
        result.windowLength = readSize(row.getColumn(2));
        result.predictedTokens = readSize(row.getColumn(3));
        result.windowNll = readDoubles(row.getColumn(4));
        result.seconds = readDouble(row.getColumn(5));
        result.tokensPerSecond = readDouble(row.getColumn(6));
        return result;
    });
}

void Store::cachePerplexity(const std::string& modelFingerprint, const std::string& windowsFingerprint,
                            const PerplexityResult& result)
{
    m_worker->call(true, [&](SQLite::Database& database) {
        SQLite::Statement statement(database, "INSERT OR REPLACE INTO dense_perplexities (model_fingerprint, "
                                              "windows_fingerprint, perplexity, windows, window_length, "
                                              "predicted_tokens, window_nll, seconds, tokens_per_second) "
                                              "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
        Binder(statement)
            .text(modelFingerprint)
            .text(windowsFingerprint)
            .real(result.perplexity)
            .size(result.windows)
            .size(result.windowLength)
            .size(result.predictedTokens)
            .doubles(result.windowNll)
            .real(result.seconds)
            .real(result.tokensPerSecond);
        statement.exec();
    });
}

} // namespace rankwright
