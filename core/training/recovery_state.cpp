#include "core/training/recovery_state.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/mapped_file.h"
#include "core/checkpoint/safetensors.h"
#include "core/checkpoint/safetensors_writer.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <span>

namespace rankwright {

namespace {

/// The vectors of a state by the names they have in a file.
template <typename Value, typename State>
std::map<std::string, std::span<Value>> partsOf(State& state)
{
    std::map<std::string, std::span<Value>> parts;
    for (std::size_t block = 0; block < state.blocks.size(); ++block) {
        auto& own = state.blocks[block];
        if (own.values.empty())
            continue;
        const auto add = [&](const char* name, auto& values) {
            parts.emplace(fmt::format("{}.{:05}", name, block), std::span<Value>(values));
        };
        add("values", own.values);
        add("first", own.adam.first);
        add("second", own.adam.second);
        add("best", own.best);
    }
    return parts;
}

} // namespace

void writeRecoveryState(const std::filesystem::path& file, const std::string& fingerprint, const RecoveryState& state)
{
    const std::map<std::string, std::span<const float>> parts = partsOf<const float>(state);
    std::vector<TensorPlan> plans;
    plans.reserve(parts.size());
    for (const auto& [name, values] : parts)
        plans.push_back({name, DType::F32, {values.size()}});
    const Json numbers = {{"step", state.step},
                          {"undone", state.undone},
                          {"scale", state.scale},
                          {"startLoss", state.startLoss},
                          {"bestLoss", state.bestLoss}};
    SafetensorsWriter writer(file, plans, {{"fingerprint", fingerprint}, {"state", dumpJson(numbers)}});
    for (const TensorPlan& plan : writer.order())
        writer.write(plan.name, std::as_bytes(parts.at(plan.name)));
    writer.commit();
}

void readRecoveryState(const std::filesystem::path& file, const std::string& fingerprint, RecoveryState& state)
{
    const MappedFile mapped(file);
    const SafetensorsHeader header = parseSafetensors(mapped.bytes(), file);
    const auto metadata = [&](const std::string& key) {
        const auto found = header.metadata.find(key);
        if (found == header.metadata.end())
            throw Error(ErrorKind::Corrupt, fmt::format("is no checkpoint of a training: '{}' is missing", key),
                        {.file = file});
        return found->second;
    };
    if (metadata("fingerprint") != fingerprint)
        throw Error(ErrorKind::Mismatch, "belongs to another run", {.file = file});
    try {
        const Json numbers = parseJson(metadata("state"), file);
        state.step = numbers.at("step").get<std::size_t>();
        state.undone = numbers.at("undone").get<std::size_t>();
        state.scale = numbers.at("scale").get<double>();
        state.startLoss = numbers.at("startLoss").get<double>();
        state.bestLoss = numbers.at("bestLoss").get<double>();
    } catch (const Json::exception& exception) {
        throw Error(ErrorKind::Corrupt, std::string("its numbers cannot be read: ") + exception.what(), {.file = file});
    }
    for (auto& [name, values] : partsOf<float>(state)) {
        const auto tensor = std::ranges::find(header.tensors, name, &TensorInfo::name);
        if (tensor == header.tensors.end() || tensor->dtype != DType::F32 || tensor->bytes != values.size_bytes())
            throw Error(ErrorKind::Corrupt, fmt::format("holds no {} values of {}", values.size(), name),
                        {.file = file, .tensor = name});
        std::memcpy(values.data(), mapped.bytes().data() + tensor->offset, values.size_bytes());
        if (!allFinite(std::span<const float>(values)))
            throw Error(ErrorKind::Corrupt, "holds values that are not finite", {.file = file, .tensor = name});
    }
    for (RecoveryState::Block& block : state.blocks)
        block.adam.steps = state.step;
}

} // namespace rankwright
