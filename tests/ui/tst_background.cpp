#include "ui/session/background.h"

#include <QTest>

#include <atomic>
#include <memory>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

using namespace rankwright::ui;

/// What becomes of work that still waits when its owner goes, as when the window closes.
class TestBackground : public QObject
{
    Q_OBJECT

    /// Numbers of the tasks of five that were run by one thread, the first of which waits until all are asked for and
    /// their owner is about to go.
    static std::vector<int> runOfFive(Background::AtEnd atEnd)
    {
        std::vector<int> run;
        std::mutex mutex;
        std::binary_semaphore started(0);
        std::binary_semaphore goOn(0);
        std::thread later;
        {
            Background background(1, atEnd);
            QObject receiver;
            for (int task = 0; task < 5; ++task)
                background.run(
                    &receiver, {},
                    [&, task] {
                        if (task == 0) {
                            started.release();
                            goOn.acquire();
                        }
                        const std::scoped_lock lock(mutex);
                        run.push_back(task);
                        return true;
                    },
                    [](const Outcome<bool>&) {});
            started.acquire();
            later = std::thread([&] {
                std::this_thread::sleep_for(std::chrono::milliseconds(100));
                goOn.release();
            });
        }
        later.join();
        return run;
    }

    /// Tells on which thread the last copy of it goes.
    struct Witness
    {
        explicit Witness(std::atomic<int>& elsewhere)
            : m_elsewhere(elsewhere)
        {}
        Witness(const Witness&) = delete;
        Witness& operator=(const Witness&) = delete;
        ~Witness() { m_elsewhere += std::this_thread::get_id() == m_home ? 0 : 1; }

    private:
        std::atomic<int>& m_elsewhere;
        std::thread::id m_home = std::this_thread::get_id();
    };

private slots:
    /// Also where the window's thread is through with a call before the other returns from it.
    void callsAreDestroyedOnTheWindowsThread()
    {
        constexpr int calls = 20'000;
        std::atomic<int> elsewhere = 0;
        int done = 0;
        {
            Background background(2);
            QObject receiver;
            std::stop_source stopped;
            stopped.request_stop();
            for (int call = 0; call < calls; ++call) {
                const auto work = std::make_shared<Witness>(elsewhere);
                const auto then = std::make_shared<Witness>(elsewhere);
                background.run(
                    &receiver, call % 4 == 0 ? stopped.get_token() : std::stop_token(), [work] { return true; },
                    [&done, then](const Outcome<bool>& outcome) { done += *outcome ? 1 : 0; });
            }
            QTRY_COMPARE_WITH_TIMEOUT(done, calls / 4 * 3, 60'000);
        }
        QCOMPARE(elsewhere.load(), 0);
    }

    void whatWaitsIsDropped() { QCOMPARE(runOfFive(Background::AtEnd::DropWaiting), std::vector<int>{0}); }
    void whatHasToBeKeptIsFinishedInOrder()
    {
        QCOMPARE(runOfFive(Background::AtEnd::FinishWaiting), (std::vector<int>{0, 1, 2, 3, 4}));
    }
};

QTEST_MAIN(TestBackground)
#include "tst_background.moc"
