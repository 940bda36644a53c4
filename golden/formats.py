#!/usr/bin/env python3
"""Writes dequantise.json and quantise.json: what ggml's own Python package makes of blocks of weights, bit for bit.

    python3 golden/formats.py           # needs numpy and gguf

dequantise.json: for each format some blocks, and the f32 numbers that `gguf.quants.dequantize` gives. All bits of a block are
random but its scales, which run over both signs, zero, denormals and the largest there are.
quantise.json: rows of f32, and the Q8_0 blocks that `gguf.quants.quantize` makes of them.
Bytes and numbers stand as hexadecimal digits of their little-endian bytes.
"""

import importlib.metadata
import json
import pathlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type, quants

HERE = pathlib.Path(__file__).parent

# Where the f16 scales (and minima) of a block stand, in bytes.
SCALES = {
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}
VARIED = [1.0, 0.01234, -0.3711, 2.5e-3, 6e-8, -3.3e-6, 0.0, 6.1e-5, 65504.0, -7.7e-2, 1 / 3, -0.0]


def blocks(random, kind):
    """Bytes of shape [blocks, bytes a block]."""
    numbers, size = GGML_QUANT_SIZES[kind]
    if kind in (Type.F16, Type.BF16):
        row = random.integers(0, 1 << 16, 256, dtype=np.uint16)
        # Neither infinities nor NaNs: the package and a processor may differ in a NaN's payload.
        exponent = 0x7C00 if kind == Type.F16 else 0x7F80
        row = np.where(row & exponent == exponent, row & 0x83FF, row)
        return row.astype("<u2").view(np.uint8).reshape(1, -1)
    count = 12 if numbers == 32 else 6
    out = random.integers(0, 256, (count, size), dtype=np.uint8)
    for i, at in enumerate(SCALES[kind]):
        shuffled = random.permutation(VARIED)[:count] if i else np.array(VARIED[:count])
        out[:, at : at + 2] = shuffled.astype("<f2").view(np.uint8).reshape(count, 2)
    return out


def dequantised(kind):
    data = blocks(np.random.default_rng(kind.value), kind)
    numbers = quants.dequantize(data, kind).astype("<f4")
    return {"format": kind.name, "blocks": data.tobytes().hex(), "numbers": numbers.tobytes().hex()}


def quantised():
    """Rows that a quantiser may get wrong: halves, zeros, scales that are denormal or zero as f16."""
    random = np.random.default_rng(8)
    rows = [random.standard_normal(64) * scale for scale in (1.0, 0.02, 300.0, 1e-6, 1e-9, 1e-30)]
    rows.append(np.zeros(64))
    rows.append(np.concatenate([[127.0], np.arange(31) - 15.5, [-127.0], np.arange(31) * 0.5]))
    rows.append(np.concatenate([random.standard_normal(63), [-5.0]]))
    for row in np.array(rows, dtype="<f4"):
        yield {"row": row.tobytes().hex(), "q8_0": quants.quantize(row, Type.Q8_0).tobytes().hex()}


def write(name, cases):
    version = importlib.metadata.version("gguf")
    lines = ",\n  ".join(json.dumps(case) for case in cases)
    (HERE / name).write_text(f'{{"from": "gguf {version}", "cases": [\n  {lines}\n]}}\n')


if __name__ == "__main__":
    kinds = [*SCALES, Type.F16, Type.BF16]
    write("dequantise.json", [dequantised(kind) for kind in kinds])
    write("quantise.json", list(quantised()))
