#pragma once

#include "core/checkpoint/tensor_info.h"

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace rankwright {

/// The largest header a safetensors file may have, bytes (the limit of the reference implementation).
inline constexpr std::size_t safetensorsHeaderLimit = 100'000'000;

/// The checked header of one safetensors file.
struct SafetensorsHeader
{
    std::vector<TensorInfo> tensors; ///< in the order of their offsets; `file` is 0
    std::map<std::string, std::string> metadata;
    std::size_t dataStart = 0; ///< offset of the first tensor byte in the file
};

/// Parses and checks the header of a whole mapped file: length within the limit and the file, a JSON object with spaces
/// at most behind it, `__metadata__` of strings, no key twice, known dtypes, shape x dtype equal to the offsets, and
/// the tensors filling the data part without hole, overlap or trailing bytes. Empty tensors and scalars are legal.
/// `path` only names the file in errors. Throws Error(Corrupt), or Error(Unsupported) for a dtype of the format that
/// this program cannot read.
SafetensorsHeader parseSafetensors(std::span<const std::byte> file, const std::filesystem::path& path);

} // namespace rankwright
