#pragma once

#include <filesystem>

namespace rankwright::ui {

/// Writes a checkpoint of the shape of a 7B Llama (32 blocks, 4096 wide) in F16 whose values are all zero: one sparse
/// file that takes next to no room. It can be opened and looked at; there is no tokenizer.
void writeLargeModel(const std::filesystem::path& folder);

} // namespace rankwright::ui
