#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace rankwright {

/// Tensor name -> file name of the shard that holds it, from the "weight_map" of a model.safetensors.index.json.
/// Shard names must be plain file names: anything with a folder part is refused. Throws Error(Corrupt).
std::map<std::string, std::string> readShardIndex(const std::filesystem::path& path);

} // namespace rankwright
