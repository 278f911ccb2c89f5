#include "core/checkpoint/gguf.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <span>
#include <utility>

namespace rankwright {

namespace {

constexpr std::uint32_t magic = 0x46554747; // "GGUF"
constexpr std::uint32_t mostDimensions = 4;
constexpr std::size_t longestName = 65535;
constexpr std::size_t defaultAlignment = 32;
constexpr std::size_t smallestKeyValue = 8 + 4 + 1;
constexpr std::size_t smallestTensor = 8 + 4 + 4 + 8;

/// The names of ggml's types by their numbers (ggml_type of ggml.h).
constexpr std::array<std::string_view, 42> typeNames = {
    "F32",        "F16",        "Q4_0",       "Q4_1",  "Q4_2",     "Q4_3",     "Q5_0",     "Q5_1",    "Q8_0",
    "Q8_1",       "Q2_K",       "Q3_K",       "Q4_K",  "Q5_K",     "Q6_K",     "Q8_K",     "IQ2_XXS", "IQ2_XS",
    "IQ3_XXS",    "IQ1_S",      "IQ4_NL",     "IQ3_S", "IQ2_S",    "IQ4_XS",   "I8",       "I16",     "I32",
    "I64",        "F64",        "IQ1_M",      "BF16",  "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",   "TQ2_0",
    "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4",    "Q1_0"};

/// Those that can be read; DType calls them by the same names.
constexpr std::array readableTypes = {DType::F64,    DType::F32,  DType::F16,  DType::BF16, DType::Q8_0,
                                      DType::Q6_K,   DType::Q5_K, DType::Q5_1, DType::Q5_0, DType::Q4_K,
                                      DType::Q4_1,   DType::Q4_0, DType::Q3_K, DType::Q2_K, DType::IQ4_NL,
                                      DType::IQ4_XS, DType::I64,  DType::I32,  DType::I16,  DType::I8};

std::optional<DType> tensorType(std::uint32_t number)
{
    for (const DType dtype : readableTypes) {
        if (number < typeNames.size() && dtypeName(dtype) == typeNames[number])
            return dtype;
    }
    return {};
}

std::string unreadable(std::uint32_t number)
{
    std::string readable;
    for (const DType dtype : readableTypes) {
        if (isFloating(dtype))
            readable.append(readable.empty() ? "" : ", ").append(dtypeName(dtype));
    }
    const std::string name =
        number < typeNames.size() ? std::string(typeNames[number]) : fmt::format("number {}", number);
    return fmt::format("its type {} cannot be read; convert the model to one of {}", name, readable);
}

template <typename T>
T load(const std::byte* data)
{
    T value;
    std::memcpy(&value, data, sizeof(T));
    return value;
}

} // namespace

/// Reads forward through the file; nothing is touched before it is known to lie inside.
class GgufFile::Reader
{
public:
    explicit Reader(const MappedFile& file)
        : m_file(file)
    {}

    std::size_t position() const { return m_position; }
    std::size_t left() const { return m_file.bytes().size() - m_position; }

    const std::byte* take(std::size_t bytes, std::string_view what)
    {
        if (bytes > left())
            throw corrupt(
                fmt::format("{} of {} bytes at {} in a file of {}; perhaps an incomplete download: fetch it again",
                            what, bytes, m_position, m_file.bytes().size()));
        const std::byte* data = m_file.bytes().data() + m_position;
        m_position += bytes;
        return data;
    }

    template <typename T>
    T number(std::string_view what)
    {
        return load<T>(take(sizeof(T), what));
    }

    std::string name(std::string_view what)
    {
        const auto length = number<std::uint64_t>(what);
        if (length > longestName)
            throw corrupt(fmt::format("{} of {} bytes, more than the {} allowed", what, length, longestName));
        return {reinterpret_cast<const char*>(take(length, what)), length};
    }

    /// A count of things that take at least `smallest` bytes each.
    std::size_t count(std::size_t smallest, std::string_view what)
    {
        const auto number64 = number<std::uint64_t>(what);
        checkCount(number64, smallest, what);
        return number64;
    }

    void checkCount(std::uint64_t count, std::size_t smallest, std::string_view what) const
    {
        if (count > left() / smallest)
            throw corrupt(
                fmt::format("{} {} cannot lie in the {} bytes left of the file; perhaps an incomplete download: "
                            "fetch it again",
                            count, what, left()));
    }

    Error corrupt(const std::string& message, const std::string& tensor = {}) const
    {
        return {ErrorKind::Corrupt, message, {.file = m_file.path(), .tensor = tensor}};
    }

    Error unsupported(const std::string& message, const std::string& tensor = {}) const
    {
        return {ErrorKind::Unsupported, message, {.file = m_file.path(), .tensor = tensor}};
    }

private:
    const MappedFile& m_file;
    std::size_t m_position = 0;
};

GgufFile::GgufFile(std::shared_ptr<const MappedFile> file)
    : m_file(std::move(file))
{
    Reader reader(*m_file);
    if (reader.number<std::uint32_t>("the file mark") != magic)
        throw reader.corrupt("does not begin with GGUF; not a GGUF file");
    m_version = reader.number<std::uint32_t>("the version");
    if (m_version != 2 && m_version != 3) {
        const bool swapped = m_version != 0 && (m_version & 0xFFFFU) == 0;
        throw reader.unsupported(swapped ? std::string("big-endian GGUF cannot be read; convert it to little-endian")
                                         : fmt::format("GGUF version {}; only 2 and 3 can be read", m_version));
    }
    const auto tensorCount = reader.number<std::uint64_t>("the number of tensors");
    const std::size_t valueCount = reader.count(smallestKeyValue, "metadata values");
    reader.checkCount(tensorCount, smallestTensor, "tensors");
    for (std::size_t i = 0; i < valueCount; ++i) {
        std::string key = reader.name("a metadata key");
        const Value value = readValue(reader, key);
        if (!m_values.emplace(key, value).second)
            throw reader.corrupt(fmt::format("the metadata key \"{}\" appears twice", key));
    }
    if (integer("split.count").value_or(1) > 1)
        throw reader.unsupported("one part of a split GGUF model; merge the parts first (llama-gguf-split --merge)");
    const std::size_t align = alignment();

    reader.checkCount(tensorCount, smallestTensor, "tensors");
    m_tensors.reserve(tensorCount);
    for (std::size_t i = 0; i < tensorCount; ++i)
        m_tensors.push_back(readTensor(reader));
    placeTensors((reader.position() + align - 1) / align * align, align);
}

std::string_view GgufFile::typeName(Type type)
{
    constexpr std::array<std::string_view, 13> names = {"uint8",  "int8",    "uint16", "int16",  "uint32",
                                                        "int32",  "float32", "bool",   "string", "array",
                                                        "uint64", "int64",   "float64"};
    return names.at(static_cast<std::size_t>(type));
}

std::size_t GgufFile::typeBytes(Type type)
{
    switch (type) {
    case Type::U8:
    case Type::I8:
    case Type::Bool:
        return 1;
    case Type::U16:
    case Type::I16:
        return 2;
    case Type::U32:
    case Type::I32:
    case Type::F32:
        return 4;
    case Type::U64:
    case Type::I64:
    case Type::F64:
    case Type::String: // the length before the text
        return 8;
    case Type::Array:
        break;
    }
    return 12;
}

bool GgufFile::isInteger(Type type)
{
    return type != Type::F32 && type != Type::F64 && type != Type::Bool && type != Type::String && type != Type::Array;
}

GgufFile::Value GgufFile::readValue(Reader& reader, const std::string& key) const
{
    const auto readType = [&] {
        const auto type = reader.number<std::uint32_t>("a metadata type");
        if (type > static_cast<std::uint32_t>(Type::F64))
            throw reader.corrupt(fmt::format("the metadata key \"{}\" has the unknown type {}", key, type));
        return static_cast<Type>(type);
    };
    Value value;
    value.type = readType();
    value.array = value.type == Type::Array;
    if (value.array) {
        value.type = readType();
        if (value.type == Type::Array)
            throw reader.unsupported(fmt::format("the metadata key \"{}\" holds an array of arrays", key));
        value.count = reader.count(typeBytes(value.type),
                                   fmt::format("{}s of the metadata key \"{}\"", typeName(value.type), key));
    }
    value.offset = reader.position();
    if (value.type == Type::String) {
        for (std::size_t i = 0; i < value.count; ++i)
            reader.take(reader.number<std::uint64_t>("a metadata text"), "a metadata text");
        return value;
    }
    const std::byte* data = reader.take(value.count * typeBytes(value.type), "a metadata value");
    const auto notTruth = [](std::byte b) { return b > std::byte{1}; };
    if (value.type == Type::Bool && std::any_of(data, data + value.count, notTruth))
        throw reader.corrupt(fmt::format("the metadata key \"{}\" holds a bool that is neither 0 nor 1", key));
    return value;
}

std::size_t GgufFile::alignment() const
{
    const std::optional<std::int64_t> value = integer("general.alignment");
    if (!value)
        return defaultAlignment;
    if (*value <= 0 || *value > std::numeric_limits<std::uint32_t>::max() ||
        !std::has_single_bit(static_cast<std::uint64_t>(*value)))
        throw Error(ErrorKind::Corrupt, fmt::format("general.alignment is {}, not a power of two", *value),
                    {.file = m_file->path()});
    return static_cast<std::size_t>(*value);
}

TensorInfo GgufFile::readTensor(Reader& reader) const
{
    TensorInfo tensor;
    tensor.name = reader.name("a tensor name");
    const auto dimensions = reader.number<std::uint32_t>("a tensor description");
    if (dimensions > mostDimensions)
        throw reader.corrupt(fmt::format("{} dimensions, more than the {} allowed", dimensions, mostDimensions),
                             tensor.name);
    for (std::uint32_t i = 0; i < dimensions; ++i)
        tensor.shape.push_back(reader.number<std::uint64_t>("a tensor description"));
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    const auto type = reader.number<std::uint32_t>("a tensor description");
    const std::optional<DType> dtype = tensorType(type);
    if (!dtype)
        throw reader.unsupported(unreadable(type), tensor.name);
    tensor.dtype = *dtype;
    tensor.offset = reader.number<std::uint64_t>("a tensor description");

    const std::size_t block = elementsPerBlock(tensor.dtype);
    const std::size_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (row % block != 0)
        throw reader.corrupt(
            fmt::format("rows of {} elements do not fill {} blocks of {}", row, dtypeName(tensor.dtype), block),
            tensor.name);
    std::size_t elements = 1;
    bool empty = false;
    bool overflow = false;
    for (const std::size_t dimension : tensor.shape) {
        empty = empty || dimension == 0;
        overflow = overflow || (dimension != 0 && __builtin_mul_overflow(elements, dimension, &elements));
    }
    if (overflow || __builtin_mul_overflow(elements / block, bytesPerBlock(tensor.dtype), &tensor.bytes))
        throw reader.corrupt(fmt::format("shape {} overflows", shapeText(tensor.shape)), tensor.name);
    if (empty)
        tensor.bytes = 0;
    return tensor;
}

void GgufFile::placeTensors(std::size_t dataStart, std::size_t alignment)
{
    const std::size_t fileBytes = m_file->bytes().size();
    const auto corrupt = [&](const TensorInfo& tensor, const std::string& message) {
        return Error(ErrorKind::Corrupt, message, {.file = m_file->path(), .tensor = tensor.name});
    };
    for (TensorInfo& tensor : m_tensors) {
        if (tensor.offset % alignment != 0)
            throw corrupt(tensor,
                          fmt::format("its offset {} is not a multiple of the alignment {}", tensor.offset, alignment));
        if (dataStart > fileBytes || tensor.offset > fileBytes - dataStart ||
            tensor.bytes > fileBytes - dataStart - tensor.offset)
            throw corrupt(
                tensor, fmt::format("{} bytes at offset {} of the data do not lie in the file of {} bytes; perhaps an "
                                    "incomplete download: fetch it again",
                                    tensor.bytes, tensor.offset, fileBytes));
        tensor.offset += dataStart;
    }

    std::vector<const TensorInfo*> order;
    order.reserve(m_tensors.size());
    for (const TensorInfo& tensor : m_tensors)
        order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) { return a->name < b->name; });
    for (std::size_t i = 1; i < order.size(); ++i) {
        if (order[i - 1]->name == order[i]->name)
            throw corrupt(*order[i], "the file describes it twice");
    }
    std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
        return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
        if (order[i]->offset < order[i - 1]->offset + order[i - 1]->bytes)
            throw corrupt(*order[i],
                          fmt::format("overlaps tensor {}: begins at byte {}, which ends at {}", order[i - 1]->name,
                                      order[i]->offset, order[i - 1]->offset + order[i - 1]->bytes));
    }
}

std::vector<std::string> GgufFile::keys() const
{
    std::vector<std::string> result;
    result.reserve(m_values.size());
    for (const auto& [key, value] : m_values)
        result.push_back(key);
    return result;
}

const GgufFile::Value* GgufFile::find(std::string_view key) const
{
    const auto found = m_values.find(key);
    return found == m_values.end() ? nullptr : &found->second;
}

bool GgufFile::contains(std::string_view key) const
{
    return find(key) != nullptr;
}

bool GgufFile::isArray(std::string_view key) const
{
    const Value* value = find(key);
    return value != nullptr && value->array;
}

const GgufFile::Value* GgufFile::expect(std::string_view key, bool array, std::string_view what,
                                        bool (*accepts)(Type)) const
{
    const Value* value = find(key);
    if (value != nullptr && (value->array != array || !accepts(value->type)))
        throw Error(ErrorKind::Mismatch,
                    fmt::format("the metadata key \"{}\" holds {}{}, not {}{}", key, value->array ? "an array of " : "",
                                typeName(value->type), array ? "an array of " : "", what),
                    {.file = m_file->path()});
    return value;
}

std::int64_t GgufFile::integerAt(const Value& value, std::size_t index, std::string_view key) const
{
    const std::byte* data = m_file->bytes().data() + value.offset + index * typeBytes(value.type);
    switch (value.type) {
    case Type::U8:
        return load<std::uint8_t>(data);
    case Type::I8:
        return load<std::int8_t>(data);
    case Type::U16:
        return load<std::uint16_t>(data);
    case Type::I16:
        return load<std::int16_t>(data);
    case Type::U32:
        return load<std::uint32_t>(data);
    case Type::I32:
        return load<std::int32_t>(data);
    case Type::I64:
        return load<std::int64_t>(data);
    default:
        break;
    }
    const auto large = load<std::uint64_t>(data);
    if (large > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw Error(ErrorKind::Unsupported,
                    fmt::format("the metadata key \"{}\" holds {}, which is too large", key, large),
                    {.file = m_file->path()});
    return static_cast<std::int64_t>(large);
}

double GgufFile::realAt(const Value& value, std::size_t index, std::string_view key) const
{
    const std::byte* data = m_file->bytes().data() + value.offset + index * typeBytes(value.type);
    if (value.type == Type::F32)
        return static_cast<double>(load<float>(data));
    if (value.type == Type::F64)
        return load<double>(data);
    return static_cast<double>(integerAt(value, index, key));
}

std::optional<std::string> GgufFile::string(std::string_view key) const
{
    const Value* value = expect(key, false, "string", [](Type type) { return type == Type::String; });
    if (value == nullptr)
        return {};
    const std::byte* data = m_file->bytes().data() + value->offset;
    return std::string(reinterpret_cast<const char*>(data + 8), load<std::uint64_t>(data));
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key) const
{
    const Value* value = expect(key, false, "an integer", isInteger);
    return value == nullptr ? std::nullopt : std::optional(integerAt(*value, 0, key));
}

std::optional<double> GgufFile::real(std::string_view key) const
{
    const Value* value =
        expect(key, false, "a number", [](Type type) { return type != Type::String && type != Type::Bool; });
    return value == nullptr ? std::nullopt : std::optional(realAt(*value, 0, key));
}

std::optional<bool> GgufFile::boolean(std::string_view key) const
{
    const Value* value = expect(key, false, "bool", [](Type type) { return type == Type::Bool; });
    return value == nullptr ? std::nullopt : std::optional(m_file->bytes()[value->offset] != std::byte{0});
}

std::optional<std::vector<std::string>> GgufFile::strings(std::string_view key) const
{
    const Value* value = expect(key, true, "string", [](Type type) { return type == Type::String; });
    if (value == nullptr)
        return {};
    std::vector<std::string> result;
    result.reserve(value->count);
    const std::byte* next = m_file->bytes().data() + value->offset;
    for (std::size_t i = 0; i < value->count; ++i) {
        const auto length = load<std::uint64_t>(next);
        result.emplace_back(reinterpret_cast<const char*>(next + 8), length);
        next += 8 + length;
    }
    return result;
}

std::optional<std::vector<std::int64_t>> GgufFile::integers(std::string_view key) const
{
    const Value* value = expect(key, true, "integers", isInteger);
    if (value == nullptr)
        return {};
    std::vector<std::int64_t> result;
    result.reserve(value->count);
    for (std::size_t i = 0; i < value->count; ++i)
        result.push_back(integerAt(*value, i, key));
    return result;
}

std::optional<std::vector<double>> GgufFile::reals(std::string_view key) const
{
    const Value* value =
        expect(key, true, "numbers", [](Type type) { return type != Type::String && type != Type::Bool; });
    if (value == nullptr)
        return {};
    std::vector<double> result;
    result.reserve(value->count);
    for (std::size_t i = 0; i < value->count; ++i)
        result.push_back(realAt(*value, i, key));
    return result;
}

std::optional<std::vector<bool>> GgufFile::booleans(std::string_view key) const
{
    const Value* value = expect(key, true, "bool", [](Type type) { return type == Type::Bool; });
    if (value == nullptr)
        return {};
    std::vector<bool> result(value->count);
    for (std::size_t i = 0; i < value->count; ++i)
        result[i] = m_file->bytes()[value->offset + i] != std::byte{0};
    return result;
}

} // namespace rankwright
