#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace SQLite {
class Database;
}

namespace rankwright {

/// Owns the only connection to a SQLite file and the thread that uses it. Jobs that wait together become one
/// transaction; a call returns when its transaction is committed.
class DatabaseWorker
{
public:
    /// Opens or creates the file and migrates it; one that cannot be written is read as it is. Throws Error(Io),
    /// Error(Corrupt) or Error(Unsupported).
    explicit DatabaseWorker(const std::filesystem::path& file);
    /// Finishes the queue and closes the connection.
    ~DatabaseWorker();
    DatabaseWorker(const DatabaseWorker&) = delete;
    DatabaseWorker& operator=(const DatabaseWorker&) = delete;

    bool isWritable() const { return m_writable; }

    /// Runs `work(database)` on the thread and gives back what it returns. `work` may be run again after a rollback, so
    /// it must have no effect but on the database and its result. Throws what `work` throws, SQLite's errors as Error.
    template <typename Work>
    std::invoke_result_t<Work, SQLite::Database&> call(bool writes, const Work& work)
    {
        using Result = std::invoke_result_t<Work, SQLite::Database&>;
        if constexpr (std::is_void_v<Result>) {
            submit(writes, work).get();
        } else {
            std::optional<Result> result;
            submit(writes, [&](SQLite::Database& database) { result = work(database); }).get();
            return std::move(*result);
        }
    }

private:
    struct Job
    {
        bool writes = false;
        std::function<void(SQLite::Database&)> work;
        std::promise<void> done;
    };

    std::future<void> submit(bool writes, std::function<void(SQLite::Database&)> work);
    void serve(std::promise<void> opened);
    void runBatch(SQLite::Database& database, std::vector<Job>& jobs) const;
    void runTogether(SQLite::Database& database, std::vector<Job>& jobs, std::size_t first, std::size_t count) const;

    std::filesystem::path m_file;
    bool m_writable;
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::vector<Job> m_queue;
    bool m_closing = false;
    std::thread m_thread;
};

} // namespace rankwright
