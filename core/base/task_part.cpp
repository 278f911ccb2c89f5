#include "core/base/task_part.h"

#include <algorithm>

namespace rankwright {

TaskContext partOf(const TaskContext& whole, std::size_t index, std::size_t count)
{
    TaskContext part = whole;
    if (whole.progress)
        part.progress = [report = whole.progress, index, count](const Progress& progress) {
            const std::size_t total = std::max<std::size_t>(progress.total, 1); // 0 where it is not known yet
            report({progress.stage, progress.item, index * total + progress.done, count * total});
        };
    return part;
}

} // namespace rankwright
