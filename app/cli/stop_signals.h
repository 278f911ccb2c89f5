#pragma once

#include <stop_token>
#include <thread>

namespace rankwright::cli {

/// SIGINT, SIGTERM and SIGHUP ask for a stop while it lives; the second one ends the program at once. SIGBUS, which a
/// mapped file that shrinks gives, ends it with an error line. One at a time.
class StopSignals
{
public:
    StopSignals();
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

    std::stop_token token() const { return m_source.get_token(); }

private:
    std::stop_source m_source;
    std::thread m_watcher;
};

} // namespace rankwright::cli
