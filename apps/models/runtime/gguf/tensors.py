"""GGUF blocks to arrays that MLX computes with. NumPy only; a row in, a row out.

Q4_0, Q4_1 and Q8_0 have one float16 scale per 32 weights, as MLX's affine layout
with group size 32 has, so they move over bit for bit. Block layouts:
https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h and ``gguf.quants``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize
from numpy.typing import NDArray

from apps.models.runtime.errors import ModelFormatError

GROUP_SIZE = 32
AFFINE_BITS = {Type.Q4_0: 4, Type.Q4_1: 4, Type.Q8_0: 8}
"""Types kept quantised, with their bits per weight."""

_KEPT = {Type.F32: ("F32", 4), Type.F16: ("F16", 2), Type.BF16: ("BF16", 2)}

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """One array a GGUF tensor becomes."""

    suffix: str
    """What its name ends in: "", or "scales" and "biases" beside a packed weight."""
    dtype: str
    """safetensors' name for the type."""
    shape: tuple[int, ...]


def parts(type_: Type, shape: tuple[int, ...]) -> tuple[Part, ...]:
    """The arrays that ``convert`` makes of a tensor. Raises ModelFormatError."""
    if type_ in AFFINE_BITS and len(shape) > 1:
        *rows, columns = shape
        per_group = (*rows, columns // GROUP_SIZE)
        return (
            Part("", "U32", (*rows, columns * AFFINE_BITS[type_] // 32)),
            Part("scales", "F16", per_group),
            Part("biases", "F16", per_group),
        )
    if type_ in _KEPT:
        return (Part("", _KEPT[type_][0], shape),)
    if not _is_readable(type_):
        raise ModelFormatError(
            f"The GGUF file's weights are of type {type_.name}, which can't be read. Take a "
            "Q4_0, Q4_1, Q8_0 or K-quant file of the same model."
        )
    if len(shape) < 2:
        raise ModelFormatError(
            f"The GGUF file holds a weight of type {type_.name} and shape {shape}, which no model "
            "of its family has. Download it again, or take one made by another converter."
        )
    return (Part("", "F16", shape),)


def convert(type_: Type, rows: Bytes) -> tuple[NDArray[np.generic], ...]:
    """Rows of raw bytes, shape (rows, bytes per row), as the arrays ``parts`` lists.

    Raises ModelFormatError where the weights are not finite.
    """
    if type_ in AFFINE_BITS:
        return _affine(type_, rows)
    if type_ in _KEPT:
        return (rows,)
    # Rounding to half precision is a hundred times finer than these types' own.
    with np.errstate(all="ignore"):
        half = dequantize(rows, type_).astype(np.float16)
    return (_finite(half),)


@cache
def _is_readable(type_: Type) -> bool:
    """Whether the gguf package can decode the type; it says so only when it is asked to."""
    _, block_bytes = GGML_QUANT_SIZES[type_]
    try:
        dequantize(np.zeros((1, block_bytes), np.uint8), type_)
    except NotImplementedError:
        return False
    return True


def unpermute(rows: Bytes, heads: int) -> Bytes:
    """Rows as trained: each head's halves apart, not interleaved as GGUF's llama has them.

    Undoes ``LlamaModel.permute`` of llama.cpp's convert_hf_to_gguf.py. Whole rows
    move, so scales and biases move with their weights.
    """
    order = np.arange(len(rows)).reshape(heads, -1, 2).swapaxes(1, 2).ravel()
    return rows[order]


def _affine(type_: Type, rows: Bytes) -> tuple[NDArray[np.generic], ...]:
    blocks = rows.reshape(len(rows), -1, _block_bytes(type_))
    scales = _halves(blocks, 0)
    if type_ == Type.Q8_0:
        # Signed weights become unsigned ones with an offset of -128 scales.
        packed = blocks[..., 2:] ^ np.uint8(0x80)
        biases = scales * np.float16(-128)
    else:
        biases = _halves(blocks, 2) if type_ == Type.Q4_1 else scales * np.float16(-8)
        packed = _repacked(blocks[..., -GROUP_SIZE // 2 :])
    weight = np.ascontiguousarray(packed.reshape(len(rows), -1)).view("<u4")
    return weight, _finite(scales), _finite(biases)


def _block_bytes(type_: Type) -> int:
    fields = {Type.Q4_0: 2, Type.Q4_1: 4, Type.Q8_0: 2}
    return fields[type_] + GROUP_SIZE * AFFINE_BITS[type_] // 8


def _halves(blocks: Bytes, offset: int) -> NDArray[np.float16]:
    """One float16 of each block."""
    return np.ascontiguousarray(blocks[..., offset : offset + 2]).view("<f2")[..., 0]


def _repacked(nibbles: Bytes) -> Bytes:
    """GGUF pairs weight i with weight i + 16 in a byte; MLX pairs neighbours, low one first."""
    weights = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=-1)
    return np.asarray(weights[..., 0::2] | (weights[..., 1::2] << 4), dtype=np.uint8)


def _finite(array: NDArray[np.float16]) -> NDArray[np.float16]:
    if not np.isfinite(array).all():
        raise ModelFormatError(
            "The GGUF file holds weights that are not finite numbers in half precision; it is "
            "damaged. Download it again."
        )
    return array
