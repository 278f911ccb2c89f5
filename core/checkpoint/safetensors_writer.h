#pragma once

#include "core/base/file.h"
#include "core/tensor/dtype.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// A tensor that will be written: row-major, outermost dimension first.
struct TensorPlan
{
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::size_t> shape;
};

/// Writes one safetensors file tensor by tensor; it appears under its name at commit(). Equal input gives equal bytes:
/// tensors lie by the size of their dtype, largest first, then by name, as the reference implementation lays them.
class SafetensorsWriter
{
public:
    /// Throws Error(InvalidArgument) for a name twice or "__metadata__", Error(Unsupported) for Q types, Error(Io).
    SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorPlan> plans,
                      const std::map<std::string, std::string>& metadata = {});

    /// The order in which the tensors must be written.
    const std::vector<TensorPlan>& order() const { return m_order; }

    /// The whole tensor, little-endian. All writes throw Error(Internal) if it is not this tensor's turn or the size or
    /// type is not the planned one, Error(Io) if the disk refuses.
    void write(std::string_view name, std::span<const std::byte> data);
    /// Converts to the planned F32, F16 or BF16. Throws Error(NonFinite) if a value is NaN, infinite or overflows F16.
    void writeFloats(std::string_view name, std::span<const float> values);
    /// The same for a tensor that is not held whole: `next(done)` gives the values that follow the `done` ones written.
    /// Throws Error(Internal) as well for an empty part or more values than planned.
    void writeFloatParts(std::string_view name, const std::function<std::span<const float>(std::size_t done)>& next);
    /// Planned as F64.
    void writeDoubles(std::string_view name, std::span<const double> values);
    /// Planned as I32, I16 or U8. Throws Error(Internal) for a value that the type cannot hold.
    void writeIntegers(std::string_view name, std::span<const std::int32_t> values);
    /// Throws Error(Internal) if a tensor is missing.
    void commit();

private:
    const TensorPlan& turnOf(std::string_view name) const;
    const TensorPlan& begin(std::string_view name, std::size_t elements) const;
    void append(const TensorPlan& plan, std::span<const float> values, std::size_t done);

    std::filesystem::path m_path;
    std::vector<TensorPlan> m_order;
    std::size_t m_next = 0;
    AtomicFile m_file;
};

/// Writes tensors into a folder as model.safetensors, or, if they take more than `limit` bytes, as
/// model-0000i-of-0000n.safetensors of at most `limit` bytes of data each (one tensor larger than that has a shard of
/// its own) with model.safetensors.index.json, written last. Tensors are dealt to shards in the order given. `fill` is
/// called for each tensor in the order of the file and must write it.
void writeShards(const std::filesystem::path& folder, std::vector<TensorPlan> plans, std::size_t limit,
                 const std::map<std::string, std::string>& metadata,
                 const std::function<void(const TensorPlan&, SafetensorsWriter&)>& fill);

} // namespace rankwright
