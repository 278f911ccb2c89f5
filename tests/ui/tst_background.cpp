#include "ui/session/background.h"

#include <QTest>

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

private slots:
    void whatWaitsIsDropped() { QCOMPARE(runOfFive(Background::AtEnd::DropWaiting), std::vector<int>{0}); }
    void whatHasToBeKeptIsFinishedInOrder()
    {
        QCOMPARE(runOfFive(Background::AtEnd::FinishWaiting), (std::vector<int>{0, 1, 2, 3, 4}));
    }
};

QTEST_MAIN(TestBackground)
#include "tst_background.moc"
