#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <utility>
#include <vector>

namespace rankwright {

namespace {

/// Converted at once; small enough to stay in a processor's cache.
constexpr std::size_t elementsPerPart = std::size_t{1} << 16U;
/// Bytes read before their pages are released.
constexpr std::size_t releaseBytes = std::size_t{16} << 20U;

struct NonFinite
{
    std::size_t element = 0;
    float value = 0.0F;
};

std::optional<NonFinite> findNonFinite(const Checkpoint& checkpoint, const TensorInfo& tensor)
{
    if (!isFloating(tensor.dtype))
        return {};
    const auto bytes = checkpoint.data(tensor);
    const std::size_t elements = tensor.elements();
    std::vector<float> values;
    std::optional<NonFinite> found;
    TensorInfo unreleased = tensor;
    unreleased.bytes = 0;
    for (std::size_t first = 0; first < elements && !found; first += elementsPerPart) {
        values.resize(std::min(elementsPerPart, elements - first));
        const std::size_t partBytes = bytesFor(tensor.dtype, values.size());
        convertToFloat(tensor.dtype, bytes.subspan(bytesFor(tensor.dtype, first), partBytes), values);
        unreleased.bytes += partBytes;
        if (unreleased.bytes >= releaseBytes) {
            checkpoint.release(unreleased);
            unreleased.offset += std::exchange(unreleased.bytes, 0);
        }
        if (allFinite(values))
            continue;
        const auto wrong = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
        found = {.element = first + static_cast<std::size_t>(wrong - values.begin()), .value = *wrong};
    }
    checkpoint.release(unreleased);
    return found;
}

} // namespace

void checkFinite(const Checkpoint& checkpoint, const TensorInfo& tensor)
{
    if (const auto found = findNonFinite(checkpoint, tensor))
        throw Error(ErrorKind::NonFinite,
                    fmt::format("element {} of {} is {}; the weights are damaged: fetch the model again",
                                found->element, shapeText(tensor.shape), found->value),
                    {.file = checkpoint.files().at(tensor.file), .tensor = tensor.name});
}

std::optional<std::string> firstNonFiniteTensor(const Checkpoint& checkpoint)
{
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        if (findNonFinite(checkpoint, tensor))
            return tensor.name;
    }
    return {};
}

} // namespace rankwright
