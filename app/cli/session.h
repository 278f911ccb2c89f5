#pragma once

#include "app/cli/output.h"
#include "app/cli/progress_display.h"
#include "core/base/progress.h"
#include "core/experiment/store.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace rankwright::cli {

/// What all verbs share in one call of the program.
class Session
{
public:
    explicit Session(std::stop_token stop)
        : m_stop(std::move(stop))
    {}

    // Set by the options that every verb has.
    bool json = false;
    bool quiet = false;
    std::string storeFile;

    /// The work of the chosen verb; set while the call is read, so that what is wrong with the call is found before.
    std::function<void()> work;

    Output out;

    /// Stop token, progress display and warnings. The display lives until the end of the session.
    TaskContext context();
    /// Ends the progress display: before results are printed, and before an error is.
    void endProgress();

    /// The store of --store, or that of the user; created where it is missing.
    Store& store();
    /// The same for verbs that only read: null where there is no store of the user yet. Throws Error(NotFound) where
    /// --store names a file that does not exist.
    Store* existingStore();
    /// existingStore() for a verb that needs a run of it. Throws Error(NotFound).
    Store& storeWithRuns();

private:
    std::filesystem::path storePath() const;

    std::stop_token m_stop;
    std::unique_ptr<ProgressDisplay> m_display;
    std::unique_ptr<Store> m_store;
};

} // namespace rankwright::cli
