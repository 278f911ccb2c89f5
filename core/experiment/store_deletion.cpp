#include "core/base/error.h"
#include "core/experiment/database_worker.h"
#include "core/experiment/process_identity.h"
#include "core/experiment/run_folder.h"
#include "core/experiment/store.h"
#include "core/experiment/store_rows.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <optional>

namespace rankwright {

namespace {

/// What Hasher::hex() gives; anything else in a store is not the name of a folder to remove.
bool isFingerprint(const std::string& text)
{
    return !text.empty() &&
           std::ranges::all_of(text, [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
}

/// The fingerprint of a run that no process is at.
std::string fingerprintOfIdle(SQLite::Database& database, std::int64_t run, const std::filesystem::path& file)
{
    SQLite::Statement row(database, "SELECT state, process, fingerprint FROM runs WHERE id = ?");
    row.bind(1, run);
    if (!row.executeStep())
        throwNoRun(run, file);
    if (row.getColumn(0).getString() == runStateName(RunState::Running) && processMayLive(row.getColumn(1).getString()))
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("run {} is still running; stop it before it is deleted", run), {.file = file});
    return row.getColumn(2).getString();
}

} // namespace

void Store::deleteRun(std::int64_t run)
{
    const std::string fingerprint =
        m_worker->call(false, [&](SQLite::Database& database) { return fingerprintOfIdle(database, run, m_file); });
    // Held before the row goes, so that no other run can begin to use the folder between the two.
    std::optional<RunLock> lock;
    const std::filesystem::path folder = runsFolder() / fingerprint;
    if (isFingerprint(fingerprint) && std::filesystem::exists(folder)) {
        try {
            lock.emplace(folder);
        } catch (const Error& error) {
            // A run that works in the folder is of the same fingerprint: the folder stays.
            if (error.kind() != ErrorKind::InvalidArgument)
                throw;
        }
    }
    const bool shared = m_worker->call(true, [&](SQLite::Database& database) {
        fingerprintOfIdle(database, run, m_file);
        SQLite::Statement removal(database, "DELETE FROM runs WHERE id = ?");
        Binder(removal).integer(run);
        removal.exec();
        SQLite::Statement others(database, "SELECT count(*) FROM runs WHERE fingerprint = ?");
        Binder(others).text(fingerprint);
        others.executeStep();
        return others.getColumn(0).getInt64() > 0;
    });
    if (lock && !shared)
        lock->removeFolder();
}

std::int64_t Store::changeCount() const
{
    return m_worker->call(false, [](SQLite::Database& database) {
        // The first changes with commits of other connections, the second with those of this one.
        const std::int64_t others = database.execAndGet("PRAGMA data_version").getInt64();
        return (others << 32) + database.getTotalChanges();
    });
}

} // namespace rankwright
