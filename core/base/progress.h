#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>

namespace rankwright {

/// One step of a stage: `done` of `total` units of `stage`, the last being `item`.
struct Progress
{
    std::string stage;
    std::string item;
    std::size_t done = 0;
    std::size_t total = 0;
};

/// Called from any thread; must be cheap and must not throw.
using ProgressCallback = std::function<void(const Progress&)>;

/// A repair or a limit met by a numeric routine that a user should see (damping, fallback, clamped rank, ...).
struct NumericEvent
{
    std::string kind;   ///< camelCase name, e.g. "rankClamped", "singularStatistics"
    std::string linear; ///< linear or tap concerned, may be empty
    std::string message;
    double value = 0.0; ///< the number that matters for this kind, 0 where there is none
};

/// What every long task receives: a way to stop it and a way to say how far it is.
struct TaskContext
{
    std::stop_token stop = {};
    ProgressCallback progress = {};
    std::function<void(const NumericEvent&)> event = {};

    /// Throws Error(Cancelled) if a stop was requested.
    void checkStop() const;
    void report(const std::string& stage, const std::string& item, std::size_t done, std::size_t total) const;
    void note(const NumericEvent& numericEvent) const;
};

} // namespace rankwright
