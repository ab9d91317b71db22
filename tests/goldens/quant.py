#!/usr/bin/env python3
"""quant.py - write tests/data/quant.bin: blocks of each tensor type and what they mean.

The oracle is the `gguf` Python package (pip install gguf numpy). Run from the
project's root: python3 tests/goldens/quant.py

Records, little-endian: u32 kind (0 read, 1 write), u32 type, u32 n values, u32
bytes of the row, the row, then n floats: what the row reads as (kind 0), or what
was quantized to it (kind 1).
"""
import struct
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Q
from gguf.quants import dequantize, quantize

rng = np.random.default_rng(20240607)
# places of the half-float fields in a block
HALVES = {Q.Q8_0: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2],
          Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
# added later, at the end, so that the records before them stay as they are
MORE = {Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.IQ4_NL: [0]}
FP4 = {Q.MXFP4: 1, Q.NVFP4: 4}  # bytes of scales at the start of a block
SCALES = [0.0123, -0.5, 6e-8, 1000.0]  # usual, negative, subnormal, large


def blocks(t):
    n, size = GGML_QUANT_SIZES[t]
    rows = rng.integers(0, 256, (len(SCALES), size), dtype=np.uint8)
    for row, scale in zip(rows, SCALES):
        for at in (HALVES | MORE)[t]:
            row[at:at + 2] = np.frombuffer(np.float16(scale * rng.uniform(0.8, 1)).tobytes(), np.uint8)
    return n * len(SCALES), rows.reshape(-1)


def halves(t):
    h = rng.integers(0, 1 << 16, 256, dtype=np.uint16)
    h[:8] = [0, 0x8000, 1, 0x8001, 0x3C00, 0x03FF, 0x0400, 0x7BFF]
    exponent = 0x7C00 if t == Q.F16 else 0x7F80
    h[(h & exponent) == exponent] = 0x3C00
    return h


def main():
    with open("tests/data/quant.bin", "wb") as out:
        def put(kind, t, row, values):
            out.write(struct.pack("<4I", kind, int(t), values.size, len(row)))
            out.write(bytes(row))
            out.write(values.astype("<f4").tobytes())

        for t in HALVES:
            n, row = blocks(t)
            put(0, t, row, dequantize(row, t).reshape(-1)[:n])
        h = halves(Q.F16)
        put(0, Q.F16, h.tobytes(), h.view(np.float16).astype(np.float32))
        h = halves(Q.BF16)
        put(0, Q.BF16, h.tobytes(), (h.astype(np.uint32) << 16).view(np.float32))

        x = (rng.standard_normal(512) * 10.0 ** rng.integers(-3, 3, 512)).astype(np.float32)
        x[64:96] = np.arange(-16, 16) / 2 * 127  # ties
        x[96] = 127
        x[128:160] = 0
        x[160:192] = np.arange(32, dtype=np.float32) - 127
        for t in (Q.Q8_0, Q.F16, Q.BF16):
            put(1, t, quantize(x, t).view(np.uint8).tobytes(), x)
        for t in MORE:
            n, row = blocks(t)
            put(0, t, row, dequantize(row, t).reshape(-1)[:n])
        for t, scales in FP4.items():  # every scale once
            n, size = GGML_QUANT_SIZES[t]
            rows = rng.integers(0, 256, (256 // scales, size), dtype=np.uint8)
            rows[:, :scales] = np.arange(256, dtype=np.uint8).reshape(-1, scales)
            put(0, t, rows.reshape(-1), dequantize(rows.reshape(-1), t).reshape(-1))


main()
