#pragma once

#include "core/base/progress.h"

#include <QDateTime>
#include <QObject>
#include <QString>

#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace rankwright::ui {

/// A numeric event with where it comes from.
struct HealthEntry
{
    QDateTime time;
    std::int64_t run = 0; ///< 0: an analysis in the window
    NumericEvent event;
};

/// What numerics had to repair or limit, newest last. An event that a linear has in several analyses, or in a run that
/// goes on after a stop, is kept once.
class HealthLog : public QObject
{
    Q_OBJECT

public:
    using QObject::QObject;

    const std::vector<HealthEntry>& entries() const { return m_entries; }
    void add(std::int64_t run, const std::vector<NumericEvent>& events);
    /// How many kinds of events, each run on its own, need a look: all but what the plan asked for (linears stored
    /// dense, ranks set by hand).
    int attention() const { return static_cast<int>(m_kinds.size()); }
    void clear();

signals:
    void added(int first, int count);
    void cleared();

private:
    std::vector<HealthEntry> m_entries;
    std::set<std::tuple<std::int64_t, std::string, std::string, std::string>> m_known; ///< run, kind, linear, message
    std::set<std::pair<std::int64_t, std::string>> m_kinds;                            ///< run, kind
};

} // namespace rankwright::ui
