#pragma once

#include "core/base/progress.h"
#include "core/experiment/store.h"
#include "core/training/training_options.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rankwright {

/// What the store has of other runs with the fingerprint of this one. A run that takes their results over takes over
/// what was recorded of these too, each from the newest run that has it; nothing where those runs are deleted. A run
/// whose record is damaged is passed over with a note.
class EarlierAttempts
{
public:
    /// Both outlive it.
    EarlierAttempts(const Store& store, std::int64_t run, const TaskContext& context);

    /// What was noted of the numerics of a linear; not of its files.
    std::vector<NumericEvent> eventsOfLinear(const std::string& linear);

    struct Training
    {
        std::vector<TrainingPoint> points;
        std::vector<NumericEvent> events;
    };
    /// Of a whole training of `part`, see TrainingPoint.
    Training training(const std::string& stage, const std::string& part);

private:
    struct Attempt
    {
        RunRecord record;
        std::vector<TrainingPoint> points;
    };

    template <typename Has>
    const Attempt* newest(const Has& has);
    std::optional<Attempt> read(std::int64_t run) const;

    const Store& m_store;
    const TaskContext& m_context;
    std::vector<std::int64_t> m_unread; ///< oldest first
    std::vector<Attempt> m_attempts;    ///< newest first, as far as they were needed
};

} // namespace rankwright
