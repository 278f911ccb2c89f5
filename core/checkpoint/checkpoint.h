#pragma once

#include "core/base/json.h"
#include "core/checkpoint/tensor_info.h"
#include "core/tensor/matrix.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

class GgufFile;

enum class CheckpointFormat { Safetensors, Gguf };

/// The weights of a model, mapped read-only and never loaded whole. Cheap to copy (copies share their state) and safe
/// to read from several threads.
class Checkpoint
{
public:
    /// Opens a folder (model.safetensors.index.json decides which files; without one model.safetensors; without that
    /// the only .gguf file), a .safetensors file or a .gguf file, and checks all headers.
    /// Throws Error(NotFound, Corrupt, Unsupported or Io) naming file and tensor.
    static Checkpoint open(const std::filesystem::path& path);

    /// As given to open().
    const std::filesystem::path& path() const;
    /// Where config.json and the tokenizer files lie.
    std::filesystem::path folder() const;
    CheckpointFormat format() const;
    const std::vector<std::filesystem::path>& files() const;

    /// By file, then by offset.
    const std::vector<TensorInfo>& tensors() const;
    /// Null if there is no such tensor.
    const TensorInfo* find(std::string_view name) const;
    /// Throws Error(NotFound) naming the nearest existing name.
    const TensorInfo& at(std::string_view name) const;

    /// The bytes of a tensor as they lie in the file; little-endian, not aligned. Valid as long as any copy lives.
    std::span<const std::byte> data(const TensorInfo& tensor) const;
    /// A 2-D floating or quantised tensor as rows x columns. Throws Error(Mismatch or Unsupported).
    Matrix<float> readMatrix(const TensorInfo& tensor) const;
    /// A 1-D tensor, or a 2-D one with one dimension of 1. Throws Error(Mismatch or Unsupported).
    std::vector<float> readVector(const TensorInfo& tensor) const;
    /// Rows [first, first + count) of a 2-D tensor into `target` (count x columns).
    void readRows(const TensorInfo& tensor, std::size_t first, std::size_t count, MatrixView<float> target) const;
    /// All elements of an I64, I32, I16, I8 or U8 tensor. Throws Error(Unsupported) for other types and Error(Corrupt)
    /// for a value outside 32 bits.
    std::vector<std::int32_t> readIntegers(const TensorInfo& tensor) const;
    /// The pages of a tensor may be dropped from memory; they are read again when touched.
    void release(const TensorInfo& tensor) const;

    /// config.json of folder(), null if there is none.
    const Json* config() const;
    /// Null for safetensors.
    const GgufFile* gguf() const;
    /// Hash of names, dtypes, shapes and all tensor bytes, independent of how tensors are spread over files. Computed
    /// at the first call without keeping pages in memory.
    std::string fingerprint() const;

private:
    struct State;
    explicit Checkpoint(std::shared_ptr<const State> state);

    std::shared_ptr<const State> m_state;
};

/// Throws Error(NonFinite) naming tensor, element and value if a floating or quantised tensor holds NaN or infinity.
/// Streams through the tensor and releases its pages.
void checkFinite(const Checkpoint& checkpoint, const TensorInfo& tensor);
/// Name of the first tensor, in the order of tensors(), that holds NaN or infinity; nothing if all are finite.
std::optional<std::string> firstNonFiniteTensor(const Checkpoint& checkpoint);

} // namespace rankwright
