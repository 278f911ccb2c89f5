#pragma once

#include "core/base/progress.h"

#include <QDateTime>
#include <QObject>
#include <QString>

#include <cstdint>
#include <vector>

namespace rankwright::ui {

/// A numeric event with where it comes from.
struct HealthEntry
{
    QDateTime time;
    std::int64_t run = 0; ///< 0: an analysis in the window
    NumericEvent event;
};

/// What numerics had to repair or limit, newest last.
class HealthLog : public QObject
{
    Q_OBJECT

public:
    using QObject::QObject;

    const std::vector<HealthEntry>& entries() const { return m_entries; }
    void add(std::int64_t run, const std::vector<NumericEvent>& events);
    /// Events of a stored run, where none of it are here yet.
    void addStored(std::int64_t run, const std::vector<NumericEvent>& events);
    void clear();

signals:
    void added(int first, int count);
    void cleared();

private:
    std::vector<HealthEntry> m_entries;
};

} // namespace rankwright::ui
