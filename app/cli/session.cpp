#include "app/cli/session.h"

#include "core/base/error.h"
#include "core/experiment/places.h"

namespace rankwright::cli {

TaskContext Session::context()
{
    if (!m_display)
        m_display = std::make_unique<ProgressDisplay>(quiet);
    return {.stop = m_stop,
            .progress = [this](const Progress& progress) { m_display->report(progress); },
            .event = [this](const NumericEvent& event) { m_display->note(event); }};
}

void Session::endProgress()
{
    if (m_display)
        m_display->end();
}

std::filesystem::path Session::storePath() const
{
    return storeFile.empty() ? defaultStoreFile() : std::filesystem::path(storeFile);
}

Store& Session::store()
{
    if (!m_store)
        m_store = std::make_unique<Store>(storePath());
    return *m_store;
}

Store* Session::existingStore()
{
    std::error_code failure;
    if (std::filesystem::exists(storePath(), failure))
        return &store();
    if (!storeFile.empty())
        throw Error(ErrorKind::NotFound, "there is no such store", {.file = storeFile});
    return nullptr;
}

Store& Session::storeWithRuns()
{
    Store* found = existingStore();
    if (found == nullptr)
        throw Error(ErrorKind::NotFound, "there are no runs yet; rankwright-cli compress makes one",
                    {.file = storePath()});
    return *found;
}

} // namespace rankwright::cli
