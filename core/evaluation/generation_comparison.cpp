#include "core/evaluation/evaluation.h"

#include <algorithm>

namespace rankwright {

GenerationComparison generateSideBySide(const Model& original, const Model& other, const Device& device,
                                        const std::string& prompt, std::size_t tokens, const PassOptions& options,
                                        const TaskContext& context)
{
    GenerationComparison result;
    result.original = generateGreedy(original, device, prompt, tokens, options, context);
    result.other = generateGreedy(other, device, prompt, tokens, options, context);
    const std::vector<std::int32_t>& a = result.original.generated;
    const std::vector<std::int32_t>& b = result.other.generated;
    result.sameTokens = static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
    return result;
}

} // namespace rankwright
