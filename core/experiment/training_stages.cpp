#include "core/experiment/training_stages.h"

#include "core/base/error.h"
#include "core/base/event_kinds.h"
#include "core/model/architecture.h"
#include "core/training/distill.h"
#include "core/training/recover.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace rankwright {

TrainingStages::TrainingStages(const RunJob& job, const std::vector<LinearOutcome>& outcomes, EarlierAttempts& earlier,
                               Store& store, std::int64_t run)
    : m_job(job)
    , m_store(store)
    , m_run(run)
    , m_earlier(earlier)
{
    for (const LinearOutcome& outcome : outcomes)
        m_left.push_back(outcome.left);
}

std::vector<const LinearInfo*> TrainingStages::chosenOf(std::size_t block) const
{
    std::vector<const LinearInfo*> result;
    std::ranges::copy_if(m_job.linears, std::back_inserter(result),
                         [&](const LinearInfo* info) { return info->block == block; });
    return result;
}

LinearRecord TrainingStages::read(const LinearInfo& info, std::string_view kind) const
{
    return readLinearFile(linearFile(m_job.folder, info.index, kind), m_job.fingerprint, info);
}

Model TrainingStages::modelOf(std::vector<std::string> kinds) const
{
    return m_job.model.withLinears(
        [this, kinds = std::move(kinds)](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            for (const std::string& kind : kinds) {
                if (!std::filesystem::exists(linearFile(m_job.folder, info.index, kind)))
                    continue;
                LinearRecord record = read(info, kind);
                return record.weights ? std::make_shared<const LinearWeights>(std::move(*record.weights)) : nullptr;
            }
            return nullptr;
        });
}

Model TrainingStages::untrained() const
{
    return modelOf({"linear"});
}

bool TrainingStages::takeOver(std::size_t block, std::string_view kind) const
{
    std::size_t missing = 0;
    for (const LinearInfo* info : chosenOf(block)) {
        const std::filesystem::path file = linearFile(m_job.folder, info->index, kind);
        if (!std::filesystem::exists(file)) {
            ++missing;
            continue;
        }
        try {
            read(*info, kind);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::Mismatch)
                throw;
            m_job.context.note({eventKind::discardedFile, info->name,
                                fmt::format("a file of an earlier attempt is computed again: {}", error.what()), 0.0});
            ++missing;
        }
    }
    if (missing == 0)
        return true;
    for (const LinearInfo* info : chosenOf(block))
        std::filesystem::remove(linearFile(m_job.folder, info->index, kind));
    return false;
}

void TrainingStages::keep(const LinearInfo& info, std::string_view from, std::string_view kind,
                          const LinearWeights* trained, const std::string& note) const
{
    LinearRecord record = read(info, from);
    if (trained != nullptr) {
        record.weights = *trained;
        record.outcome.notes.push_back(note);
    }
    writeLinearFile(linearFile(m_job.folder, info.index, kind), m_job.fingerprint, record, m_job.recipe.storage);
}

std::vector<Role> TrainingStages::trainedRoles(std::size_t block) const
{
    std::vector<Role> roles;
    for (std::size_t position = 0; position < m_job.linears.size(); ++position)
        if (m_job.linears[position]->block == block && !m_left[position])
            roles.push_back(m_job.linears[position]->role);
    return roles;
}

void TrainingStages::noteWithoutGain(const std::string& part, double startLoss, double endLoss) const
{
    if (endLoss != startLoss)
        return;
    m_job.context.note({eventKind::trainedWithoutGain, part,
                        fmt::format("training did not lower the loss on held-out windows, {:.6g}: the factors from "
                                    "before it are kept",
                                    startLoss),
                        startLoss});
}

TrainingObserver TrainingStages::observer() const
{
    return [this](const TrainingPoint& point) {
        m_store.recordTrainingPoint(m_run, point);
        if (m_job.observer.trained)
            m_job.observer.trained(point);
    };
}

void TrainingStages::takeOverRecords(const std::string& stage, const std::string& part, std::size_t lastStep,
                                     std::size_t undone)
{
    const EarlierAttempts::Training earlier = m_earlier.training(stage, part);
    const TrainingObserver record = observer();
    for (const TrainingPoint& point : earlier.points)
        if (point.step <= lastStep)
            record(point);
    for (const NumericEvent& event : earlier.events)
        if (lastStep == wholeTraining || undone-- > 0)
            m_job.context.note(event);
}

void TrainingStages::distill(const TokenWindows& windows, const DistillationOptions& options, const PassOptions& pass)
{
    std::vector<bool> finished;
    for (std::size_t block = 0; block < m_job.model.config().blocks; ++block) {
        finished.push_back(takeOver(block, "distilled"));
        if (finished.back())
            takeOverRecords("distill", blockName(m_job.model.config(), block));
    }
    const auto keepBlock = [&](std::size_t block, const TrainedBlock& trained, const BlockOutcome& outcome) {
        const std::string note = fmt::format("distilled: the block's loss on held-out windows went from {:.6g} to "
                                             "{:.6g}; losses of linears are of the factors before",
                                             outcome.startLoss, outcome.endLoss);
        for (const LinearInfo* info : chosenOf(block))
            keep(*info, "linear", "distilled", trained.trains(info->role) ? &trained.linear(info->role) : nullptr,
                 note);
        if (trained.size() > 0)
            noteWithoutGain(blockName(m_job.model.config(), block), outcome.startLoss, outcome.endLoss);
    };
    distillBlocks(m_job.model, modelOf({"distilled", "linear"}), m_job.device, windows, options, pass, m_job.context,
                  observer(),
                  {.roles = [this](std::size_t block) { return trainedRoles(block); },
                   .finished = [&](std::size_t block) { return finished[block]; },
                   .keep = keepBlock});
    m_lastKind = "distilled";
}

void TrainingStages::recover(const TokenWindows& windows, const RecoveryOptions& options, const PassOptions& pass)
{
    const std::filesystem::path stateFile = m_job.folder / "recovery.safetensors";
    const std::string from = m_lastKind;
    m_lastKind = "recovered";
    bool finished = !std::filesystem::exists(stateFile);
    for (std::size_t block = 0; block < m_job.model.config().blocks; ++block)
        finished = takeOver(block, "recovered") && finished;
    if (finished) {
        takeOverRecords("recover", {});
        return;
    }
    if (std::ranges::find(m_left, false) == m_left.end()) { // nothing to train
        for (const LinearInfo* info : m_job.linears)
            keep(*info, from, "recovered", nullptr, {});
        return;
    }
    std::vector<std::pair<const LinearInfo*, std::optional<LinearWeights>>> trained;
    const auto keepBlock = [&](std::size_t block, const TrainedBlock& weights) {
        for (const LinearInfo* info : chosenOf(block))
            trained.emplace_back(info,
                                 weights.trains(info->role) ? std::optional(weights.linear(info->role)) : std::nullopt);
    };
    const RecoveryOutcome outcome = recoverModel(
        m_job.model, modelOf({from}), m_job.device, windows, options, pass, m_job.context, observer(),
        {.roles = [this](std::size_t block) { return trainedRoles(block); },
         .stateFile = stateFile,
         .fingerprint = m_job.fingerprint,
         .resumed = [this](std::size_t step, std::size_t undone) { takeOverRecords("recover", {}, step, undone); },
         .keep = keepBlock});
    const std::string note = fmt::format("recovered in {} steps: the loss on held-out windows went from {:.6g} to "
                                         "{:.6g} nats per token; losses of linears are of the factors before",
                                         outcome.steps, outcome.startLoss, outcome.endLoss);
    for (const auto& [info, weights] : trained)
        keep(*info, from, "recovered", weights ? &*weights : nullptr, note);
    noteWithoutGain({}, outcome.startLoss, outcome.endLoss);
    std::filesystem::remove(stateFile);
}

void TrainingStages::updateNotes(std::vector<LinearOutcome>& outcomes) const
{
    for (std::size_t position = 0; position < m_job.linears.size(); ++position)
        outcomes[position].notes = read(*m_job.linears[position], m_lastKind).outcome.notes;
}

} // namespace rankwright
