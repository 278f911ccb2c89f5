#pragma once

#include "core/experiment/runner.h"
#include "ui/session/job.h"
#include "ui/session/run_store.h"

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>

#include <memory>
#include <vector>

namespace rankwright::ui {

class JobFeed;
class StageShares;

/// Long work, one at a time and in order. What runs reports through a timer, so that the window's thread gets at most
/// twenty updates a second however fast the engine is.
class JobQueue : public QObject
{
    Q_OBJECT

public:
    JobQueue(RunStore& store, RunPlaces places, QObject* parent = nullptr);
    ~JobQueue() override;

    /// In order: done ones, the running one, queued ones.
    const std::vector<Job>& jobs() const { return m_jobs; }
    /// Null for an unknown id.
    const Job* find(int id) const;
    /// The running one, or null.
    const Job* running() const;
    bool idle() const;

    int addCompression(const Recipe& recipe);
    int addCalibration(const Recipe& recipe);
    int addMeasurement(const Recipe& recipe);
    /// Compares the recipe's calibration text with others, cut into windows alike, on `directions` principal
    /// directions.
    int addComparison(const Recipe& recipe, const std::vector<std::filesystem::path>& texts, std::size_t directions);
    int addExport(std::int64_t run, const RunExport& runExport, const QString& title);
    /// A queued job is over at once, a running one after the linear or window at hand.
    void cancel(int id);
    void cancelAll();
    /// Moves a queued job before or behind its queued neighbour.
    void move(int id, int places);
    /// Takes what is over from the list.
    void removeFinished();

signals:
    void changed();          ///< jobs came, went or moved, or one changed its state
    void progressed(int id); ///< of the running job
    void started(int id);
    void ended(int id);
    void runStarted(int id, qint64 run);
    void planned(int id, const std::vector<rankwright::AllocatedRank>& ranks);
    void linearsDone(int id, const std::vector<rankwright::LinearOutcome>& outcomes);
    void trained(int id, const std::vector<rankwright::TrainingPoint>& points);
    void eventsNoted(int id, const std::vector<rankwright::NumericEvent>& events);

private:
    Job* findJob(int id);
    int add(Job job);
    void startNext();
    void start(Job& job);
    void finish(int id, const Outcome<Job>& outcome);
    void drain();

    RunStore& m_store;
    RunPlaces m_places;
    std::vector<Job> m_jobs;
    int m_nextId = 1;
    std::stop_source m_stop{std::nostopstate};
    std::shared_ptr<JobFeed> m_feed;
    std::unique_ptr<StageShares> m_shares;
    QElapsedTimer m_clock;
    QTimer m_timer;
    Background m_background{1};
};

} // namespace rankwright::ui
