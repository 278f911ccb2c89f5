#include "core/decomposition/group.h"

#include "core/base/error.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

AttentionGeometry attentionGeometry(const ModelConfig& config)
{
    AttentionGeometry geometry{.heads = config.heads,
                               .keyValueHeads = config.keyValueHeads,
                               .headWidth = config.headWidth,
                               .frequencies = {},
                               .context = config.contextLength,
                               .queryKeyNorm = false};
    const RotaryTable table = makeRotaryTable(config, 2);
    for (std::size_t j = 0; j < table.cosines.columns(); ++j)
        geometry.frequencies.push_back(
            std::atan2(static_cast<double>(table.sines(1, j)), static_cast<double>(table.cosines(1, j))));
    return geometry;
}

std::unique_ptr<GroupAnalysis> Method::analyzeGroup(const Device&, const GroupProblem&, const MethodParameters&) const
{
    throw Error(ErrorKind::Internal, fmt::format("method {} treats every linear alone", name()));
}

} // namespace rankwright
