#include "core/base/progress.h"

#include "core/base/error.h"

namespace rankwright {

void TaskContext::checkStop() const
{
    if (stop.stop_requested())
        throw Error(ErrorKind::Cancelled, "cancelled on request");
}

void TaskContext::report(const std::string& stage, const std::string& item, std::size_t done, std::size_t total) const
{
    if (progress)
        progress({stage, item, done, total});
}

void TaskContext::note(const NumericEvent& numericEvent) const
{
    if (event)
        event(numericEvent);
}

} // namespace rankwright
