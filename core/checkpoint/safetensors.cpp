#include "core/checkpoint/safetensors.h"

#include "core/base/bytes.h"
#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

namespace rankwright {

namespace {

constexpr std::string_view metadataKey = "__metadata__";
constexpr std::size_t lengthBytes = 8;

constexpr std::array readableTypes = {DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64,
                                      DType::I32, DType::I16, DType::I8,  DType::U8,   DType::Bool};
constexpr std::array<std::string_view, 12> otherTypes = {"U64",     "U32",     "U16",         "C64",
                                                         "F8_E5M2", "F8_E4M3", "F8_E8M0",     "F6_E2M3",
                                                         "F6_E3M2", "F4",      "F8_E5M2FNUZ", "F8_E4M3FNUZ"};

/// A tensor as the header states it, before anything but the types of its fields is checked.
struct Entry
{
    std::string name;
    std::optional<std::string> dtype;
    std::optional<std::vector<std::size_t>> shape;
    std::optional<std::vector<std::size_t>> offsets;
};

/// Takes the header key by key, so that memory stays in proportion to the tensors and no input makes it recurse.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json>
{
public:
    explicit HeaderHandler(std::filesystem::path path)
        : m_path(std::move(path))
    {}

    std::vector<Entry> entries;
    std::map<std::string, std::string> metadata;

    bool start_object(std::size_t) override
    {
        if (m_depth == 2)
            return unexpected("an object");
        if (m_depth == 1 && !m_inMetadata)
            entries.push_back({.name = m_tensor, .dtype = {}, .shape = {}, .offsets = {}});
        ++m_depth;
        return true;
    }

    bool end_object() override
    {
        if (--m_depth == 1 && !m_inMetadata) {
            const Entry& entry = entries.back();
            if (!entry.dtype || !entry.shape || !entry.offsets)
                throw corrupt("the header lacks its dtype, shape or data_offsets");
        }
        m_inMetadata = false;
        return true;
    }

    bool key(string_t& name) override
    {
        if (m_depth == 1) {
            m_inMetadata = name == metadataKey;
            if (m_inMetadata && std::exchange(m_metadataSeen, true))
                throw corrupt("the header holds __metadata__ twice");
            m_tensor = m_inMetadata ? std::string() : name;
            return true;
        }
        m_key = name;
        if (m_inMetadata)
            return true;
        if (name != "dtype" && name != "shape" && name != "data_offsets")
            throw corrupt(fmt::format("the header has an unknown field \"{}\"", name));
        return true;
    }

    bool start_array(std::size_t) override
    {
        std::optional<std::vector<std::size_t>>* list = nullptr;
        if (m_depth == 2 && !m_inMetadata && !m_inArray && m_key == "shape")
            list = &entries.back().shape;
        else if (m_depth == 2 && !m_inMetadata && !m_inArray && m_key == "data_offsets")
            list = &entries.back().offsets;
        if (list == nullptr)
            return unexpected("an array");
        if (list->has_value())
            return twice();
        list->emplace();
        m_inArray = true;
        return true;
    }

    bool end_array() override
    {
        m_inArray = false;
        return true;
    }

    bool string(string_t& value) override
    {
        if (m_depth == 2 && m_inMetadata) {
            if (!metadata.emplace(m_key, value).second)
                throw corrupt(fmt::format("__metadata__ holds the key \"{}\" twice", m_key));
            return true;
        }
        if (m_depth != 2 || m_inArray || m_key != "dtype")
            return unexpected("a string");
        if (entries.back().dtype)
            return twice();
        entries.back().dtype = value;
        return true;
    }

    bool number_unsigned(number_unsigned_t value) override
    {
        if (!m_inArray)
            return unexpected("a number");
        (m_key == "shape" ? entries.back().shape : entries.back().offsets)->push_back(value);
        return true;
    }

    bool number_integer(number_integer_t value) override { return unexpected(fmt::format("the number {}", value)); }
    bool number_float(number_float_t, const string_t& text) override { return unexpected("the number " + text); }
    bool null() override { return unexpected("null"); }
    bool boolean(bool) override { return unexpected("a truth value"); }
    bool binary(binary_t&) override { return unexpected("binary data"); }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& failure) override
    {
        // No tensor: the last one that was read is as a rule not the broken one.
        throw Error(ErrorKind::Corrupt,
                    fmt::format("the header is not valid JSON at offset {} of the file: {}", lengthBytes + position - 1,
                                failure.what()),
                    {.file = m_path});
    }

private:
    Error corrupt(const std::string& message) const
    {
        return {ErrorKind::Corrupt, message, {.file = m_path, .tensor = m_tensor}};
    }

    bool unexpected(const std::string& what) const
    {
        if (m_inMetadata)
            throw corrupt(fmt::format("__metadata__ holds {} where only strings may be", what));
        if (m_depth == 2)
            throw corrupt(fmt::format("the header holds {} in the field \"{}\", which cannot be", what, m_key));
        throw corrupt(fmt::format("the header holds {} where a tensor must be described", what));
    }

    bool twice() const { throw corrupt(fmt::format("the header has the field \"{}\" twice", m_key)); }

    std::filesystem::path m_path;
    std::string m_tensor;
    std::string m_key;
    int m_depth = 0;
    bool m_inMetadata = false;
    bool m_metadataSeen = false;
    bool m_inArray = false;
};

DType parseDType(const Entry& entry, const std::filesystem::path& path)
{
    for (const DType dtype : readableTypes) {
        if (dtypeName(dtype) == *entry.dtype)
            return dtype;
    }
    const bool known = std::find(otherTypes.begin(), otherTypes.end(), *entry.dtype) != otherTypes.end();
    throw Error(known ? ErrorKind::Unsupported : ErrorKind::Corrupt,
                fmt::format("dtype \"{}\" {}", *entry.dtype,
                            known ? "cannot be read; convert the tensor to F32, F16 or BF16" : "is not known"),
                {.file = path, .tensor = entry.name});
}

TensorInfo checkEntry(Entry& entry, std::size_t dataBytes, std::size_t dataStart, const std::filesystem::path& path)
{
    const ErrorContext context = {.file = path, .tensor = entry.name};
    if (entry.offsets->size() != 2)
        throw Error(ErrorKind::Corrupt, fmt::format("data_offsets has {} numbers, not 2", entry.offsets->size()),
                    context);
    const std::size_t begin = entry.offsets->front();
    const std::size_t end = entry.offsets->back();
    if (begin > end)
        throw Error(ErrorKind::Corrupt, fmt::format("begins at {} and ends before, at {}", begin, end), context);
    if (end > dataBytes)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("ends at byte {} of the data but the file has only {} there; perhaps an incomplete "
                                "download: fetch the file again",
                                end, dataBytes),
                    context);
    const DType dtype = parseDType(entry, path);
    std::size_t bytes = bytesPerBlock(dtype);
    // A zero dimension first would hide an overflow of the others, which readers of single rows would meet.
    for (const std::size_t dimension : *entry.shape) {
        if (dimension != 0 && __builtin_mul_overflow(bytes, dimension, &bytes))
            throw Error(ErrorKind::Corrupt, fmt::format("shape {} overflows", shapeText(*entry.shape)), context);
    }
    if (std::find(entry.shape->begin(), entry.shape->end(), 0U) != entry.shape->end())
        bytes = 0;
    if (bytes != end - begin)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("shape {} of {} takes {} bytes but the offsets {} to {} hold {}",
                                shapeText(*entry.shape), *entry.dtype, bytes, begin, end, end - begin),
                    context);
    return {.name = std::move(entry.name),
            .dtype = dtype,
            .shape = std::move(*entry.shape),
            .file = 0,
            .offset = dataStart + begin,
            .bytes = bytes};
}

void checkNames(const std::vector<Entry>& entries, const std::filesystem::path& path)
{
    std::vector<std::string_view> names;
    names.reserve(entries.size());
    for (const Entry& entry : entries)
        names.emplace_back(entry.name);
    std::sort(names.begin(), names.end());
    const auto same = std::adjacent_find(names.begin(), names.end());
    if (same != names.end())
        throw Error(ErrorKind::Corrupt, "the header describes it twice", {.file = path, .tensor = std::string(*same)});
}

void checkCover(const std::vector<TensorInfo>& tensors, std::size_t dataStart, std::size_t dataBytes,
                const std::filesystem::path& path)
{
    std::size_t next = dataStart;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const TensorInfo& tensor = tensors[i];
        if (tensor.offset < next)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("overlaps tensor {}: begins at {} of the data, which ends at {}",
                                    tensors[i - 1].name, tensor.offset - dataStart, next - dataStart),
                        {.file = path, .tensor = tensor.name});
        if (tensor.offset > next)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("begins at {} of the data and leaves {} bytes before it that belong to no tensor",
                                    tensor.offset - dataStart, tensor.offset - next),
                        {.file = path, .tensor = tensor.name});
        next = tensor.offset + tensor.bytes;
    }
    if (next - dataStart != dataBytes)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("{} trailing bytes behind the last tensor; the file is damaged or was appended to: "
                                "fetch it again",
                                dataBytes - (next - dataStart)),
                    {.file = path});
}

} // namespace

SafetensorsHeader parseSafetensors(std::span<const std::byte> file, const std::filesystem::path& path)
{
    if (file.size() < lengthBytes)
        throw Error(
            ErrorKind::Corrupt,
            fmt::format("{} bytes are too few for a safetensors file; perhaps an incomplete download", file.size()),
            {.file = path});
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), lengthBytes);
    if (length > safetensorsHeaderLimit)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("header of {} bytes, more than the {} allowed; perhaps not a safetensors file", length,
                                safetensorsHeaderLimit),
                    {.file = path});
    if (length > file.size() - lengthBytes)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("header of {} bytes in a file of {}; perhaps an incomplete download: fetch it again",
                                length, file.size()),
                    {.file = path});
    if (length == 0 || file[lengthBytes] != std::byte{'{'})
        throw Error(ErrorKind::Corrupt, "the header does not start with '{'; perhaps not a safetensors file",
                    {.file = path});
    const char* text = reinterpret_cast<const char*>(file.data()) + lengthBytes;

    HeaderHandler handler(path);
    nlohmann::json::sax_parse(text, text + length, &handler);
    checkNames(handler.entries, path);

    SafetensorsHeader header;
    header.metadata = std::move(handler.metadata);
    header.dataStart = lengthBytes + length;
    const std::size_t dataBytes = file.size() - header.dataStart;
    header.tensors.reserve(handler.entries.size());
    for (Entry& entry : handler.entries)
        header.tensors.push_back(checkEntry(entry, dataBytes, header.dataStart, path));
    // An empty tensor lies before the full one that begins at the same byte.
    std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
        return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
    });
    checkCover(header.tensors, header.dataStart, dataBytes, path);
    return header;
}

} // namespace rankwright
