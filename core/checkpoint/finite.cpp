#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <vector>

namespace rankwright {

namespace {

constexpr std::size_t elementsPerPart = std::size_t{1} << 16U;

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
    for (std::size_t first = 0; first < elements && !found; first += elementsPerPart) {
        values.resize(std::min(elementsPerPart, elements - first));
        convertToFloat(tensor.dtype,
                       bytes.subspan(bytesFor(tensor.dtype, first), bytesFor(tensor.dtype, values.size())), values);
        if (allFinite(values))
            continue;
        const auto wrong = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
        found = {.element = first + static_cast<std::size_t>(wrong - values.begin()), .value = *wrong};
    }
    checkpoint.release(tensor);
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
