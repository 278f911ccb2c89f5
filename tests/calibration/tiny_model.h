#pragma once

#include "core/calibration/windows.h"
#include "core/model/model.h"

#include <filesystem>
#include <functional>

namespace rankwright::tiny {

/// Changes a tensor before it is written.
using TensorEdit = std::function<void(const std::string& name, std::vector<float>& values)>;

/// A random Llama model of 2 blocks: width 24, 4 heads with 2 key/value heads of width 6, 40 neurons, 50 tokens,
/// context 512. Equal seeds give equal files.
void writeModel(const std::filesystem::path& folder, unsigned seed, const TensorEdit& edit = {});

/// `count` windows of `length` random tokens below 50.
TokenWindows randomWindows(std::size_t count, std::size_t length, unsigned seed);

} // namespace rankwright::tiny
