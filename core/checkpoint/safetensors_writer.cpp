#include "core/checkpoint/safetensors_writer.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/checkpoint/safetensors.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace rankwright {

namespace {

constexpr std::size_t headerAlignment = 8;

std::size_t planElements(const TensorPlan& plan)
{
    std::size_t elements = 1;
    for (const std::size_t dimension : plan.shape)
        elements = checkedProduct(elements, dimension, plan.name);
    return elements;
}

std::size_t planBytes(const TensorPlan& plan)
{
    return bytesFor(plan.dtype, planElements(plan));
}

std::vector<TensorPlan> inFileOrder(std::vector<TensorPlan> plans, const std::filesystem::path& path)
{
    std::sort(plans.begin(), plans.end(), [](const TensorPlan& a, const TensorPlan& b) {
        const std::size_t sizeA = bytesPerBlock(a.dtype);
        const std::size_t sizeB = bytesPerBlock(b.dtype);
        return sizeA != sizeB ? sizeA > sizeB : a.name < b.name;
    });
    std::vector<std::string_view> names;
    for (const TensorPlan& plan : plans) {
        if (elementsPerBlock(plan.dtype) != 1)
            throw Error(ErrorKind::Unsupported,
                        fmt::format("{} cannot be stored in safetensors", dtypeName(plan.dtype)),
                        {.file = path, .tensor = plan.name});
        names.emplace_back(plan.name);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end() || std::binary_search(names.begin(), names.end(), std::string_view("__metadata__")))
        throw Error(ErrorKind::InvalidArgument, "this tensor name cannot be written, or is planned twice",
                    {.file = path, .tensor = twice != names.end() ? std::string(*twice) : "__metadata__"});
    return plans;
}

std::string headerOf(const std::vector<TensorPlan>& order, const std::map<std::string, std::string>& metadata,
                     const std::filesystem::path& path)
{
    // The objects are put together as text because looking a key up in a Json object of thousands is slow.
    std::string header = "{";
    if (!metadata.empty())
        header += "\"__metadata__\":" + dumpJson(Json(metadata));
    std::size_t offset = 0;
    for (const TensorPlan& plan : order) {
        const std::size_t end = offset + planBytes(plan);
        const Json entry = {{"dtype", dtypeName(plan.dtype)}, {"shape", plan.shape}, {"data_offsets", {offset, end}}};
        header += fmt::format("{}{}:{}", header.size() > 1 ? "," : "", dumpJson(Json(plan.name)), dumpJson(entry));
        offset = end;
    }
    header += "}";
    header.append((headerAlignment - header.size() % headerAlignment) % headerAlignment, ' ');
    if (header.size() > safetensorsHeaderLimit)
        throw Error(
            ErrorKind::InvalidArgument,
            fmt::format("a header of {} bytes, more than the {} allowed", header.size(), safetensorsHeaderLimit),
            {.file = path});
    return header;
}

} // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorPlan> plans,
                                     const std::map<std::string, std::string>& metadata)
    : m_path(path)
    , m_order(inFileOrder(std::move(plans), path))
    , m_file(path)
{
    const std::string header = headerOf(m_order, metadata, path);
    const std::uint64_t length = header.size();
    m_file.write(std::as_bytes(std::span(&length, 1)));
    m_file.write(header);
}

const TensorPlan& SafetensorsWriter::turnOf(std::string_view name) const
{
    if (m_next >= m_order.size() || m_order[m_next].name != name)
        throw Error(ErrorKind::Internal,
                    fmt::format("written out of order; next is {}",
                                m_next < m_order.size() ? m_order[m_next].name : std::string("none")),
                    {.file = m_path, .tensor = std::string(name)});
    return m_order[m_next];
}

const TensorPlan& SafetensorsWriter::begin(std::string_view name, std::size_t elements) const
{
    const TensorPlan& plan = turnOf(name);
    if (elements != planElements(plan))
        throw Error(ErrorKind::Internal, fmt::format("{} elements written, {} planned", elements, planElements(plan)),
                    {.file = m_path, .tensor = plan.name});
    return plan;
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> data)
{
    const std::size_t size = m_next < m_order.size() ? bytesPerBlock(m_order[m_next].dtype) : 1;
    begin(name, data.size() % size == 0 ? data.size() / size : data.size() + 1);
    m_file.write(data);
    ++m_next;
}

void SafetensorsWriter::append(const TensorPlan& plan, std::span<const float> values, std::size_t done)
{
    constexpr std::size_t part = std::size_t{1} << 18U;
    std::vector<std::byte> buffer;
    std::vector<float> stored;
    for (std::size_t first = 0; first < values.size(); first += part) {
        const auto source = values.subspan(first, std::min(part, values.size() - first));
        buffer.resize(bytesFor(plan.dtype, source.size()));
        convertFromFloat(source, plan.dtype, buffer);
        stored.resize(source.size());
        convertToFloat(plan.dtype, buffer, stored);
        if (!allFinite(stored))
            throw Error(ErrorKind::NonFinite,
                        fmt::format("a value from element {} on is NaN, infinite or too large for {}", done + first,
                                    dtypeName(plan.dtype)),
                        {.file = m_path, .tensor = plan.name});
        m_file.write(buffer);
    }
}

void SafetensorsWriter::writeFloats(std::string_view name, std::span<const float> values)
{
    append(begin(name, values.size()), values, 0);
    ++m_next;
}

void SafetensorsWriter::writeFloatParts(std::string_view name,
                                        const std::function<std::span<const float>(std::size_t done)>& next)
{
    const TensorPlan& plan = turnOf(name);
    const std::size_t elements = planElements(plan);
    std::size_t done = 0;
    while (done < elements) {
        const std::span<const float> values = next(done);
        if (values.empty() || values.size() > elements - done)
            throw Error(ErrorKind::Internal,
                        fmt::format("{} values where {} of {} are left", values.size(), elements - done, elements),
                        {.file = m_path, .tensor = plan.name});
        append(plan, values, done);
        done += values.size();
    }
    ++m_next;
}

void SafetensorsWriter::writeDoubles(std::string_view name, std::span<const double> values)
{
    const TensorPlan& plan = begin(name, values.size());
    if (plan.dtype != DType::F64)
        throw Error(ErrorKind::Internal, fmt::format("doubles written, {} planned", dtypeName(plan.dtype)),
                    {.file = m_path, .tensor = plan.name});
    write(name, std::as_bytes(values));
}

void SafetensorsWriter::writeIntegers(std::string_view name, std::span<const std::int32_t> values)
{
    const TensorPlan& plan = begin(name, values.size());
    if (plan.dtype != DType::I32 && plan.dtype != DType::I16 && plan.dtype != DType::U8)
        throw Error(ErrorKind::Internal, fmt::format("integers written, {} planned", dtypeName(plan.dtype)),
                    {.file = m_path, .tensor = plan.name});
    std::vector<std::byte> bytes(bytesFor(plan.dtype, values.size()));
    convertFromIntegers(values, plan.dtype, bytes);
    write(name, bytes);
}

void SafetensorsWriter::commit()
{
    if (m_next != m_order.size())
        throw Error(ErrorKind::Internal, "was never written", {.file = m_path, .tensor = m_order[m_next].name});
    m_file.commit();
}

void writeShards(const std::filesystem::path& folder, std::vector<TensorPlan> plans, std::size_t limit,
                 const std::map<std::string, std::string>& metadata,
                 const std::function<void(const TensorPlan&, SafetensorsWriter&)>& fill)
{
    std::vector<std::vector<TensorPlan>> shards(1);
    std::size_t inShard = 0;
    std::size_t total = 0;
    for (TensorPlan& plan : plans) {
        const std::size_t bytes = planBytes(plan);
        if (!shards.back().empty() && (inShard > limit || bytes > limit - inShard)) {
            shards.emplace_back();
            inShard = 0;
        }
        inShard += bytes;
        total += bytes;
        shards.back().push_back(std::move(plan));
    }

    std::map<std::string, std::string> weightMap;
    for (std::size_t i = 0; i < shards.size(); ++i) {
        const std::string name = shards.size() == 1
                                     ? std::string("model.safetensors")
                                     : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
        SafetensorsWriter writer(folder / name, std::move(shards[i]), metadata);
        for (const TensorPlan& plan : writer.order()) {
            fill(plan, writer);
            weightMap.emplace(plan.name, name);
        }
        writer.commit();
    }
    if (shards.size() > 1) {
        const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weightMap}};
        writeFileAtomically(folder / "model.safetensors.index.json", dumpJson(index, 2) + "\n");
    }
}

} // namespace rankwright
