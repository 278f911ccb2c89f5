#pragma once

#include "core/tensor/dtype.h"

namespace rankwright {

/// Dequantises `blocks` whole blocks of a Q or IQ type into blocks x elementsPerBlock(dtype) float32 values; the caller
/// has checked both sizes. Throws Error(Internal) for another type.
/// Source: the block_ structs of ggml-common.h and dequantize_row_ functions of ggml-quants.c in ggml
/// (https://github.com/ggml-org/ggml); the values are those of gguf-py's quants.py, bit for bit.
void dequantise(DType dtype, const std::byte* source, std::size_t blocks, float* target);

/// The same by the base instruction set alone, as on processors without AVX2.
void dequantiseBase(DType dtype, const std::byte* source, std::size_t blocks, float* target);

} // namespace rankwright
