#include "core/model/summary.h"

#include "core/model/tensor_names.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

namespace rankwright {

namespace {

/// Tensors that the model is made of. The others that an opened checkpoint can have are masks and rotary tables of
/// older files and a tied head that is stored once more.
std::vector<const TensorInfo*> usedTensors(const Model& model)
{
    const TensorNames names(model.checkpoint(), model.config());
    const bool headIsStoredTwice =
        model.config().tiedHead && model.checkpoint().find(names.embedding() + ".weight") != nullptr;
    const std::string unusedHead = headIsStoredTwice ? names.head() + ".weight" : std::string();
    std::vector<const TensorInfo*> tensors;
    for (const TensorInfo& tensor : model.checkpoint().tensors())
        if (tensor.name != unusedHead && !names.ignored(tensor.name))
            tensors.push_back(&tensor);
    return tensors;
}

} // namespace

std::size_t weightBytes(const Model& model)
{
    std::size_t bytes = 0;
    for (const TensorInfo* tensor : usedTensors(model))
        bytes += tensor->bytes;
    return bytes;
}

std::string weightTypes(const Model& model)
{
    std::map<std::string_view, std::size_t> bytes;
    for (const TensorInfo* tensor : usedTensors(model))
        bytes[dtypeName(tensor->dtype)] += tensor->bytes;
    std::vector<std::pair<std::size_t, std::string_view>> order;
    order.reserve(bytes.size());
    for (const auto& [name, size] : bytes)
        order.emplace_back(size, name);
    std::ranges::sort(order, std::greater());
    std::string result;
    for (const auto& [size, name] : order)
        result += fmt::format("{}{}", result.empty() ? "" : ", ", name);
    return result;
}

namespace {

/// Values that keys and values of a block take in a cache of latents, or as they are where that is less.
std::size_t latentWidth(const LinearInfo& key, StoredRank storedKey, const LinearInfo& value, StoredRank storedValue)
{
    const auto own = [](const LinearInfo& linear, StoredRank stored) {
        const bool latents = stored.structure != StructureKind::Dense && stored.entries == 0;
        return latents ? std::min(stored.rank, linear.shape.rows) : linear.shape.rows;
    };
    // Both read the latents of the queries: one set stands for keys and values.
    if (storedKey.structure == StructureKind::SharedLatent && storedValue.structure == StructureKind::SharedLatent)
        return std::min(storedKey.rank, key.shape.rows + value.shape.rows);
    return own(key, storedKey) + own(value, storedValue);
}

} // namespace

CacheWidth cacheWidth(const Model& model)
{
    return cacheWidth(model, [](const LinearInfo& linear) { return linear.stored(); });
}

CacheWidth cacheWidth(const Model& model, const std::function<StoredRank(const LinearInfo&)>& stored)
{
    CacheWidth width;
    for (std::size_t block = 0; block < model.config().blocks; ++block) {
        const LinearInfo& key = model.linear(block, Role::K);
        const LinearInfo& value = model.linear(block, Role::V);
        width.expanded += key.shape.rows + value.shape.rows;
        width.latent += latentWidth(key, stored(key), value, stored(value));
    }
    return width;
}

} // namespace rankwright
