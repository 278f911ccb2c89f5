#include "core/experiment/database_worker.h"

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/experiment/store_schema.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Transaction.h>
#include <algorithm>
#include <exception>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <unistd.h>

namespace rankwright {

namespace {

constexpr int busyMilliseconds = 10'000;
constexpr int busyAttempts = 6;

bool isBusy(const SQLite::Exception& exception)
{
    const int code = exception.getErrorCode() & 0xff;
    return code == SQLITE_BUSY || code == SQLITE_LOCKED;
}

Error translated(const SQLite::Exception& exception, const std::filesystem::path& file)
{
    const std::string what = exception.what();
    switch (exception.getErrorCode() & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return {ErrorKind::Corrupt, "is not a readable store of experiments: " + what, {.file = file}};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return {ErrorKind::Io, "the store is held by another process: " + what, {.file = file}};
    case SQLITE_NOMEM:
        return {ErrorKind::Memory, "no memory for the store: " + what, {.file = file}};
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return {ErrorKind::Io,
                fmt::format("cannot use the store: {}; where it cannot be written, copy it and its -wal file, if there "
                            "is one, to a folder of your own, or choose another store with --store",
                            what),
                {.file = file}};
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
        return {ErrorKind::Io, "cannot use the store: " + what, {.file = file}};
    default:
        return {ErrorKind::Internal, "the store refused a statement: " + what, {.file = file}};
    }
}

/// Runs `work` again while another process holds the file, for a minute in all; SQLite's errors become Error.
void withRetries(const std::filesystem::path& file, const std::function<void()>& work)
{
    for (int attempt = 1;; ++attempt) {
        try {
            work();
            return;
        } catch (const SQLite::Exception& exception) {
            if (!isBusy(exception) || attempt == busyAttempts)
                throw translated(exception, file);
            logWarning(fmt::format("{}: busy, waiting (attempt {} of {})", file.string(), attempt, busyAttempts));
        }
    }
}

std::unique_ptr<SQLite::Database> openDatabase(const std::filesystem::path& file)
{
    std::unique_ptr<SQLite::Database> database;
    withRetries(file, [&] {
        database = std::make_unique<SQLite::Database>(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                                      busyMilliseconds);
        database->exec("PRAGMA foreign_keys = ON");
        const std::string mode = database->execAndGet("PRAGMA journal_mode = WAL").getString();
        if (mode == "wal")
            database->exec(
                "PRAGMA synchronous = NORMAL"); // safe against the end of the process; a commit costs no fsync
        else
            logWarning(fmt::format("{}: the file system refuses write-ahead logging (journal mode is {}); readers and "
                                   "writers will wait for each other",
                                   file.string(), mode));
        migrateStore(*database, file);
    });
    return database;
}

/// A file that is not there yet can be written for all that is known here.
bool canBeWritten(const std::filesystem::path& file)
{
    const auto refused = [](const std::filesystem::path& path) {
        return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0;
    };
    std::error_code failure;
    return !std::filesystem::exists(file, failure) || (!refused(file) && !refused(file.parent_path()));
}

/// A path as SQLite takes it in a URI.
std::string uriOf(const std::filesystem::path& file)
{
    std::string uri = "file:";
    for (const char c : file.string()) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
                           c == '.' || c == '-' || c == '_';
        uri += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return uri;
}

std::unique_ptr<SQLite::Database> openReadOnly(const std::filesystem::path& file)
{
    std::unique_ptr<SQLite::Database> database;
    withRetries(file, [&] {
        // SQLite would make files beside the store to read it. It need not where no change waits in a log.
        std::error_code none;
        const std::uintmax_t log = std::filesystem::file_size(file.string() + "-wal", none);
        const bool waits = !none && log > 0;
        database = std::make_unique<SQLite::Database>(uriOf(file) + (waits ? "" : "?immutable=1"),
                                                      SQLite::OPEN_READONLY | SQLite::OPEN_URI, busyMilliseconds);
        migrateStore(*database, file);
    });
    return database;
}

} // namespace

DatabaseWorker::DatabaseWorker(const std::filesystem::path& file)
    : m_file(file)
    , m_writable(canBeWritten(file))
{
    std::promise<void> opened;
    std::future<void> ready = opened.get_future();
    m_thread = std::thread([this, promise = std::move(opened)]() mutable { serve(std::move(promise)); });
    try {
        ready.get();
    } catch (...) {
        m_thread.join();
        throw;
    }
}

DatabaseWorker::~DatabaseWorker()
{
    {
        const std::lock_guard lock(m_mutex);
        m_closing = true;
    }
    m_changed.notify_one();
    m_thread.join();
}

std::future<void> DatabaseWorker::submit(bool writes, std::function<void(SQLite::Database&)> work)
{
    std::future<void> result;
    {
        const std::lock_guard lock(m_mutex);
        m_queue.push_back({writes, std::move(work), {}});
        result = m_queue.back().done.get_future();
    }
    m_changed.notify_one();
    return result;
}

void DatabaseWorker::serve(std::promise<void> opened)
{
    std::unique_ptr<SQLite::Database> database;
    try {
        database = m_writable ? openDatabase(m_file) : openReadOnly(m_file);
    } catch (...) {
        opened.set_exception(std::current_exception());
        return;
    }
    opened.set_value();
    while (true) {
        std::vector<Job> jobs;
        {
            std::unique_lock lock(m_mutex);
            m_changed.wait(lock, [this] { return m_closing || !m_queue.empty(); });
            if (m_queue.empty())
                return;
            jobs.swap(m_queue);
        }
        runBatch(*database, jobs);
    }
}

void DatabaseWorker::runBatch(SQLite::Database& database, std::vector<Job>& jobs) const
{
    if (jobs.size() > 1) {
        try {
            runTogether(database, jobs, 0, jobs.size());
            for (Job& job : jobs)
                job.done.set_value();
            return;
        } catch (...) {
            // One of them failed and took the others' changes with it: each again on its own, to tell whose it was.
        }
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        try {
            runTogether(database, jobs, i, 1);
            jobs[i].done.set_value();
        } catch (...) {
            jobs[i].done.set_exception(std::current_exception());
        }
    }
}

void DatabaseWorker::runTogether(SQLite::Database& database, std::vector<Job>& jobs, std::size_t first,
                                 std::size_t count) const
{
    const bool writes = std::any_of(jobs.begin() + static_cast<std::ptrdiff_t>(first),
                                    jobs.begin() + static_cast<std::ptrdiff_t>(first + count),
                                    [](const Job& job) { return job.writes; });
    withRetries(m_file, [&] {
        SQLite::Transaction transaction(database, writes ? SQLite::TransactionBehavior::IMMEDIATE
                                                         : SQLite::TransactionBehavior::DEFERRED);
        for (std::size_t i = first; i < first + count; ++i)
            jobs[i].work(database);
        transaction.commit();
    });
}

} // namespace rankwright
