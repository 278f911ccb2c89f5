"""Blocks of every quantised type that the program reads, and their values by the reference code of GGUF.

usage: make_quantised.py FILE [ROWS]

Needs PyPI's gguf (made with 0.19.0) and numpy. Writes the GGUF file FILE: for each type a matrix called as the type, ROWS (default 6) times 3 blocks of
32 or 2 of 256, and what gguf.quants.dequantize makes of it as the F32 matrix TYPE.values. The bits of the blocks are random but for their F16 scales,
and but for the first ten blocks, which are the edge cases of edge_blocks. Files of many rows are for comparisons beyond the tests.
"""

import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

# Where the F16 numbers lie in a block: scale, and minimum where there is one.
HALVES = {
    Type.Q8_0: (0,),
    Type.Q4_0: (0,),
    Type.Q4_1: (0, 2),
    Type.Q5_0: (0,),
    Type.Q5_1: (0, 2),
    Type.Q2_K: (80, 82),
    Type.Q3_K: (108,),
    Type.Q4_K: (0, 2),
    Type.Q5_K: (0, 2),
    Type.Q6_K: (208,),
    Type.IQ4_NL: (0,),
    Type.IQ4_XS: (0,),
}
LARGEST, SMALLEST, LARGEST_SUBNORMAL, MINUS = 0x7BFF, 0x0001, 0x03FF, 0x8000


def put(block, offsets, scale, minimum):
    for offset, half in zip(offsets, (scale, minimum)):
        block[offset : offset + 2] = np.array([half], dtype="<u2").view(np.uint8)


def edge_blocks(blocks, offsets):
    """Scales (and minima) of zero, and the largest, smallest and subnormal ones of both signs, with random, no and all bits set elsewhere."""
    blocks[2] = blocks[3] = 0xFF
    blocks[4] = blocks[5] = 0x00
    blocks[9] = 0x80
    cases = [(0, 0), (MINUS, MINUS), (LARGEST, LARGEST), (MINUS | LARGEST, LARGEST), (LARGEST, MINUS | LARGEST), (MINUS | SMALLEST, SMALLEST),
             (SMALLEST, MINUS | SMALLEST), (MINUS | LARGEST_SUBNORMAL, LARGEST_SUBNORMAL), (LARGEST, SMALLEST), (MINUS | LARGEST, 0)]
    for block, (scale, minimum) in zip(blocks, cases):
        put(block, offsets, scale, minimum)


def random_matrix(kind, rows, random):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    columns = 3 if elements == 32 else 2
    blocks = random.integers(0, 256, (max(rows * columns, 10), size), dtype=np.uint8)
    halves = random.integers(0, 0x7C00, (len(blocks), 2)) | random.integers(0, 2, (len(blocks), 2)) * MINUS
    for block, (scale, minimum) in zip(blocks, halves):
        put(block, HALVES[kind], scale, minimum)
    edge_blocks(blocks, HALVES[kind])
    return blocks[: rows * columns].reshape(rows, columns * size)


def main():
    path, rows = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 6
    random = np.random.default_rng(20)
    writer = gguf.GGUFWriter(path, "none")
    for kind in HALVES:
        packed = random_matrix(kind, rows, random)
        values = gguf.quants.dequantize(packed, kind)
        assert values.dtype == np.float32 and np.isfinite(values).all()
        writer.add_tensor(kind.name, packed, raw_dtype=kind)
        writer.add_tensor(kind.name + ".values", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
