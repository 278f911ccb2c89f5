#pragma once

#include "core/experiment/store.h"
#include "ui/session/background.h"

#include <QObject>

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

namespace rankwright::ui {

/// The store of experiments as the window sees it: every call runs on a thread of its own.
class RunStore : public QObject
{
    Q_OBJECT

public:
    explicit RunStore(std::filesystem::path file, QObject* parent = nullptr);

    const std::filesystem::path& file() const { return m_file; }
    /// Opens or tries again; opened() or failed() follow.
    void open();
    /// Null until opened. May be used from any thread.
    std::shared_ptr<Store> store() const { return m_store; }
    const Failure& failure() const { return m_failure; }

    /// Newest first, as of the last refresh.
    const std::vector<RunSummary>& runs() const { return *m_runs; }
    /// The same list, for other threads.
    std::shared_ptr<const std::vector<RunSummary>> snapshot() const { return m_runs; }
    /// Reads the list again; runsChanged() follows.
    void refresh();
    /// The same, but runsChanged() follows only where another program has added, ended or described runs.
    void lookAgain();
    /// Reads one run; `then` is not called once `stop` was requested or `receiver` is gone.
    void fetch(std::int64_t run, QObject* receiver, const std::stop_token& stop,
               const std::function<void(Outcome<RunRecord>)>& then);
    /// Reads the loss curves of a run, as fetch().
    void fetchTraining(std::int64_t run, QObject* receiver, const std::stop_token& stop,
                       const std::function<void(Outcome<std::vector<TrainingPoint>>)>& then);
    void setTags(std::int64_t run, const QString& tags);
    void setNotes(std::int64_t run, const QString& notes);
    void remove(std::int64_t run);

signals:
    void opened();
    void failed(const rankwright::ui::Failure& failure);
    void runsChanged();

private:
    void change(const std::function<void(Store&)>& work);
    void read(bool onlyChanges);

    std::filesystem::path m_file;
    std::shared_ptr<Store> m_store;
    std::shared_ptr<const std::vector<RunSummary>> m_runs;
    Failure m_failure;
    LatestRequest m_refreshing;
    Background m_background{1};
};

} // namespace rankwright::ui
