#pragma once

#include "core/tensor/dtype.h"

#include <cstddef>
#include <string>
#include <vector>

namespace rankwright {

/// One tensor of a checkpoint: what it is and where its bytes lie. Checked against the file when it was opened.
struct TensorInfo
{
    std::string name;
    DType dtype = DType::F32;
    /// Row-major, outermost dimension first (the dimensions of a GGUF file are reversed); empty for a scalar.
    std::vector<std::size_t> shape;
    std::size_t file = 0;   ///< index into Checkpoint::files()
    std::size_t offset = 0; ///< of the first byte, from the start of the file
    std::size_t bytes = 0;

    /// Product of the shape; 1 for a scalar.
    std::size_t elements() const;
};

/// "576x1536", "576", or "scalar".
std::string shapeText(const std::vector<std::size_t>& shape);

} // namespace rankwright
