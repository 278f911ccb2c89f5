#include "ui/session/run_store.h"

#include "ui/session/text.h"

#include <algorithm>
#include <tuple>

namespace rankwright::ui {

namespace {

/// Whether what changes in the life of a run is the same.
bool looksSame(const std::vector<RunSummary>& a, const std::vector<RunSummary>& b)
{
    const auto told = [](const RunSummary& run) {
        return std::tie(run.id, run.state, run.finished, run.name, run.tags, run.notes, run.error);
    };
    return std::ranges::equal(a, b, {}, told, told);
}

} // namespace

RunStore::RunStore(std::filesystem::path file, QObject* parent)
    : QObject(parent)
    , m_file(std::move(file))
    , m_runs(std::make_shared<const std::vector<RunSummary>>())
{}

void RunStore::open()
{
    m_background.run(
        this, {}, [file = m_file] { return std::make_shared<Store>(file); },
        [this](Outcome<std::shared_ptr<Store>> outcome) {
            if (!outcome) {
                m_failure = outcome.failure;
                emit failed(m_failure);
                return;
            }
            m_failure = {};
            m_store = *outcome;
            emit opened();
            refresh();
        });
}

void RunStore::refresh()
{
    read(false);
}

void RunStore::lookAgain()
{
    read(true);
}

void RunStore::read(bool onlyChanges)
{
    if (!m_store)
        return;
    m_background.run(
        this, m_refreshing.next(),
        [store = m_store, before = m_runs, onlyChanges] {
            auto runs = std::make_shared<const std::vector<RunSummary>>(store->runs());
            return onlyChanges && looksSame(*runs, *before) ? before : runs;
        },
        [this, onlyChanges](Outcome<std::shared_ptr<const std::vector<RunSummary>>> outcome) {
            if (!outcome) {
                m_failure = outcome.failure;
                emit failed(m_failure);
                return;
            }
            if (onlyChanges && *outcome == m_runs)
                return;
            m_runs = *outcome;
            emit runsChanged();
        });
}

void RunStore::fetch(std::int64_t run, QObject* receiver, const std::stop_token& stop,
                     const std::function<void(Outcome<RunRecord>)>& then)
{
    if (m_store)
        m_background.run(
            receiver, stop, [store = m_store, run] { return store->run(run); }, then, 1);
}

void RunStore::fetchTraining(std::int64_t run, QObject* receiver, const std::stop_token& stop,
                             const std::function<void(Outcome<std::vector<TrainingPoint>>)>& then)
{
    if (m_store)
        m_background.run(
            receiver, stop, [store = m_store, run] { return store->trainingPoints(run); }, then, 1);
}

void RunStore::change(const std::function<void(Store&)>& work)
{
    if (!m_store)
        return;
    m_background.run(
        this, {},
        [store = m_store, work] {
            work(*store);
            return true;
        },
        [this](const Outcome<bool>& outcome) {
            if (!outcome)
                emit failed(outcome.failure);
            refresh();
        },
        2);
}

void RunStore::setTags(std::int64_t run, const QString& tags)
{
    change([run, text = tags.toStdString()](Store& store) { store.setTags(run, text); });
}

void RunStore::setNotes(std::int64_t run, const QString& notes)
{
    change([run, text = notes.toStdString()](Store& store) { store.setNotes(run, text); });
}

void RunStore::remove(std::int64_t run)
{
    change([run](Store& store) { store.deleteRun(run); });
}

} // namespace rankwright::ui
