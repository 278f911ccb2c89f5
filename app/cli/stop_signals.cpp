#include "app/cli/stop_signals.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace rankwright::cli {

namespace {

constexpr std::array<int, 3> stopSignals = {SIGINT, SIGTERM, SIGHUP};

// A handler may do next to nothing: it writes to a pipe that a thread reads.
std::array<int, 2> signalPipe = {-1, -1};
std::atomic<bool> stopAsked = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void handleSignal(int number)
{
    if (stopAsked.exchange(true))
        ::_exit(128 + number);
    const int saved = errno;
    const char byte = 's';
    [[maybe_unused]] const ssize_t written = ::write(signalPipe[1], &byte, 1);
    errno = saved;
}

/// A mapped file whose pages cannot be had: it was cut short by another program, or the disk does not give them.
void handleLostPages(int number, siginfo_t* info, void*)
{
    if (info->si_code != BUS_ADRERR && info->si_code != BUS_MCEERR_AR) {
        // A fault of the program itself, or sent by someone: what it would be without a handler.
        ::signal(number, SIG_DFL);
        ::raise(number);
        return;
    }
    constexpr std::string_view message =
        "error: a file that was being read shrank or its disk failed; start again with a whole file\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message.data(), message.size());
    ::_exit(1);
}

void watchForLostPages()
{
    struct sigaction action
    {};
    action.sa_sigaction = handleLostPages;
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, nullptr);
}

void setHandlers(void (*handler)(int))
{
    struct sigaction action
    {};
    action.sa_handler = handler;
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    for (const int number : stopSignals) {
        // Started with nohup or in the background of a script, a signal that is ignored stays so.
        struct sigaction current
        {};
        ::sigaction(number, nullptr, &current);
        if (current.sa_handler != SIG_IGN)
            ::sigaction(number, &action, nullptr);
    }
}

} // namespace

StopSignals::StopSignals()
{
    if (::pipe2(signalPipe.data(), O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe");
    m_watcher = std::thread([this] {
        char byte = 0;
        ssize_t got = 0;
        while ((got = ::read(signalPipe[0], &byte, 1)) < 0 && errno == EINTR) {
        }
        if (got == 1 && byte == 's')
            m_source.request_stop();
    });
    setHandlers(handleSignal);
    watchForLostPages();
}

StopSignals::~StopSignals()
{
    setHandlers(SIG_DFL);
    ::signal(SIGBUS, SIG_DFL);
    const char byte = 'e';
    [[maybe_unused]] const ssize_t written = ::write(signalPipe[1], &byte, 1);
    m_watcher.join();
    ::close(signalPipe[0]);
    ::close(signalPipe[1]);
}

} // namespace rankwright::cli
