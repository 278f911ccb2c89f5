#pragma once

#include "core/base/mapped_file.h"
#include "core/checkpoint/tensor_info.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// Metadata and tensor table of a GGUF file, version 2 or 3, little-endian. Every count, length and offset is checked
/// against the file when it is opened; values are decoded when asked for.
/// Source: the GGUF specification of ggml (docs/gguf.md).
class GgufFile
{
public:
    /// Throws Error(Corrupt), or Error(Unsupported) for another version or byte order, a split model, nested arrays and
    /// tensor types other than F64, F32, F16, BF16, I8 to I64, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0, Q2_K to Q6_K, IQ4_NL and
    /// IQ4_XS (naming type, tensor and what can be read).
    explicit GgufFile(std::shared_ptr<const MappedFile> file);

    unsigned version() const { return m_version; }
    /// In the order of the file; `file` is 0.
    const std::vector<TensorInfo>& tensors() const { return m_tensors; }
    /// Keys of the metadata, sorted.
    std::vector<std::string> keys() const;
    bool contains(std::string_view key) const;
    bool isArray(std::string_view key) const;

    /// The value of a key; nothing if the key is absent. Integers of every width are taken by integer() and integers(),
    /// integers and floats by real() and reals(). Throws Error(Mismatch) naming the key if it holds another type.
    std::optional<std::string> string(std::string_view key) const;
    std::optional<std::int64_t> integer(std::string_view key) const;
    std::optional<double> real(std::string_view key) const;
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::vector<std::string>> strings(std::string_view key) const;
    std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;
    std::optional<std::vector<double>> reals(std::string_view key) const;
    std::optional<std::vector<bool>> booleans(std::string_view key) const;

private:
    /// The type numbers of the format.
    enum class Type : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };
    /// Where a value lies: `count` values of `type` from `offset`; a scalar has count 1.
    struct Value
    {
        Type type = Type::U8;
        bool array = false;
        std::size_t count = 1;
        std::size_t offset = 0;
    };
    class Reader;

    static std::string_view typeName(Type type);
    static std::size_t typeBytes(Type type);
    static bool isInteger(Type type);
    Value readValue(Reader& reader, const std::string& key) const;
    TensorInfo readTensor(Reader& reader) const;
    void placeTensors(std::size_t dataStart, std::size_t alignment);
    std::size_t alignment() const;

    const Value* find(std::string_view key) const;
    const Value* expect(std::string_view key, bool array, std::string_view what, bool (*accepts)(Type)) const;
    std::int64_t integerAt(const Value& value, std::size_t index, std::string_view key) const;
    double realAt(const Value& value, std::size_t index, std::string_view key) const;

    std::shared_ptr<const MappedFile> m_file;
    unsigned m_version = 0;
    std::map<std::string, Value, std::less<>> m_values;
    std::vector<TensorInfo> m_tensors;
};

} // namespace rankwright
