#include "core/decomposition/group.h"

#include "core/base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

AttentionGeometry attentionGeometry(const ModelConfig& config)
{
    AttentionGeometry geometry{.heads = config.heads,
                               .keyValueHeads = config.keyValueHeads,
                               .headWidth = config.headWidth,
                               .frequencies = {},
                               .context = config.contextLength,
                               .queryKeyNorm = config.queryKeyNorm};
    if (config.slidingWindow)
        geometry.context = std::min(geometry.context, *config.slidingWindow);
    for (const float frequency : rotaryFrequencies(config))
        geometry.frequencies.push_back(static_cast<double>(frequency));
    return geometry;
}

std::unique_ptr<GroupAnalysis> Method::analyzeGroup(const Device&, const GroupProblem&, const MethodParameters&) const
{
    throw Error(ErrorKind::Internal, fmt::format("method {} treats every linear alone", name()));
}

std::unique_ptr<SharedAnalysis> Method::analyzeShared(const Device&, const GroupProblem&, const MethodParameters&) const
{
    throw Error(ErrorKind::Internal, fmt::format("method {} shares no latents", name()));
}

} // namespace rankwright
