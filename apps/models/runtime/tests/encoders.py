"""Reference encoders for the GGUF types that the gguf package can only decode.

Plain rounding, without the searches that make llama.cpp's files better: what
counts is that the blocks are laid out as ggml lays them out. Block layouts:
``block_q2_K`` to ``block_iq4_xs`` in ggml-common.h of the ggml sources.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gguf import GGML_QUANT_SIZES, quants
from gguf import GGMLQuantizationType as Type

SUPER = 256
"""Weights of a super-block."""

Blocks = np.ndarray


def encode(weights: np.ndarray, type_: Type) -> np.ndarray:
    """Rows of float32 weights as rows of raw blocks."""
    if type_ == Type.F32:
        return weights
    block, _ = GGML_QUANT_SIZES[type_]
    if type_ not in ENCODERS:
        return quants.quantize(weights, type_)
    flat = np.ascontiguousarray(weights, np.float32).reshape(-1, block)
    # In pieces: the encoders hold several arrays of the input's size.
    encoded = [ENCODERS[type_](flat[i : i + 16_384]) for i in range(0, len(flat), 16_384)]
    return np.concatenate(encoded).reshape(len(weights), -1)


def _half(values: np.ndarray) -> np.ndarray:
    """Float16 values, shape (blocks,), as bytes."""
    return values.astype("<f2").reshape(-1, 1).view(np.uint8)


def _over(values: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """Their quotient; 0 where the divisor is 0."""
    return np.divide(values, divisor, out=np.zeros_like(values), where=divisor != 0)


def _stored(values: np.ndarray) -> np.ndarray:
    """What a float16 keeps of them, as float32."""
    return values.astype(np.float16).astype(np.float32)


def _shifted(planes: np.ndarray, bits: int) -> np.ndarray:
    """Planes of small numbers, shape (..., planes, n), in one byte each, the first lowest."""
    shifts = np.arange(planes.shape[-2], dtype=np.uint8)[:, None] * np.uint8(bits)
    return np.bitwise_or.reduce(planes.astype(np.uint8) << shifts, axis=-2)


def _with_minimum(
    x: np.ndarray, largest: int, scale_limit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(q, scales, minima, d, dmin) of sub-blocks, shape (blocks, sub-blocks, weights)."""
    minima = np.maximum(0, -x.min(-1))
    scales = (x.max(-1) + minima) / largest
    d = _stored(scales.max(-1) / scale_limit)
    dmin = _stored(minima.max(-1) / scale_limit)
    sc = np.clip(np.rint(_over(scales, np.repeat(d[:, None], x.shape[1], 1))), 0, scale_limit)
    m = np.clip(np.rint(_over(minima, np.repeat(dmin[:, None], x.shape[1], 1))), 0, scale_limit)
    step = np.broadcast_to((d[:, None] * sc)[..., None], x.shape)
    q = np.clip(np.rint(_over(x + (dmin[:, None] * m)[..., None], step)), 0, largest)
    return q.astype(np.uint8), sc.astype(np.uint8), m.astype(np.uint8), d, dmin


def _symmetric(x: np.ndarray, low: int, scale_limit: int) -> tuple[np.ndarray, ...]:
    """(q from ``low`` to -low - 1, scales, d) of sub-blocks."""
    scales = np.abs(x).max(-1) / -low
    d = _stored(scales.max(-1) / scale_limit)
    sc = np.rint(_over(scales, np.repeat(d[:, None], x.shape[1], 1)))
    step = np.broadcast_to((d[:, None] * sc)[..., None], x.shape)
    return np.clip(np.rint(_over(x, step)), low, -low - 1).astype(np.int8), sc, d


def q2_k(x: Blocks) -> np.ndarray:
    q, sc, m, d, dmin = _with_minimum(x.reshape(-1, 16, 16), 3, 15)
    packed = _shifted(q.reshape(-1, 2, 4, 32), 2).reshape(-1, 64)
    return np.concatenate([sc | m << 4, packed, _half(d), _half(dmin)], axis=1)


def q3_k(x: Blocks) -> np.ndarray:
    q, sc, d = _symmetric(x.reshape(-1, 16, 16), -4, 31)
    q = (q + 4).astype(np.uint8).reshape(-1, SUPER)
    high = _shifted((q >> 2).reshape(-1, 8, 32), 1)
    low = _shifted((q & 3).reshape(-1, 2, 4, 32), 2).reshape(-1, 64)
    sc = (sc + 32).astype(np.uint8)
    scales = [sc[:, :8] & 15 | (sc[:, 8:] & 15) << 4, _shifted((sc >> 4).reshape(-1, 4, 4), 2)]
    return np.concatenate([high, low, *scales, _half(d)], axis=1)


def _six_bit(sc: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Eight scales and eight minima of 6 bits in 12 bytes."""
    first = sc[:, :4] | (sc[:, 4:] >> 4) << 6, m[:, :4] | (m[:, 4:] >> 4) << 6
    return np.concatenate([*first, sc[:, 4:] & 15 | (m[:, 4:] & 15) << 4], axis=1)


def q4_k(x: Blocks) -> np.ndarray:
    q, sc, m, d, dmin = _with_minimum(x.reshape(-1, 8, 32), 15, 63)
    packed = _shifted(q.reshape(-1, 4, 2, 32), 4).reshape(-1, 128)
    return np.concatenate([_half(d), _half(dmin), _six_bit(sc, m), packed], axis=1)


def q5_k(x: Blocks) -> np.ndarray:
    q, sc, m, d, dmin = _with_minimum(x.reshape(-1, 8, 32), 31, 63)
    high = _shifted(q >> 4, 1)
    low = _shifted((q & 15).reshape(-1, 4, 2, 32), 4).reshape(-1, 128)
    return np.concatenate([_half(d), _half(dmin), _six_bit(sc, m), high, low], axis=1)


def q6_k(x: Blocks) -> np.ndarray:
    q, sc, d = _symmetric(x.reshape(-1, 16, 16), -32, 127)
    q = (q + 32).astype(np.uint8).reshape(-1, 2, 128)
    low = _shifted((q & 15).reshape(-1, 2, 2, 64), 4).reshape(-1, 128)
    high = _shifted((q >> 4).reshape(-1, 2, 4, 32), 2).reshape(-1, 64)
    return np.concatenate([low, high, sc.astype(np.int8).view(np.uint8), _half(d)], axis=1)


_NON_LINEAR = np.array(quants.IQ4_NL.kvalues, np.float32)


def _extreme(x: np.ndarray) -> np.ndarray:
    """The value farthest from zero, with its sign, along the last axis."""
    return np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)[..., 0]


def _on_curve(x: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Index of the nearest of the 16 values that IQ4 knows."""
    between = (_NON_LINEAR[1:] + _NON_LINEAR[:-1]) / 2
    return np.searchsorted(between, _over(x, np.broadcast_to(step, x.shape))).astype(np.uint8)


def iq4_nl(x: Blocks) -> np.ndarray:
    d = _stored(_extreme(x) / -127)
    q = _on_curve(x, d[:, None])
    return np.concatenate([_half(d), _shifted(q.reshape(-1, 2, 16), 4)], axis=1)


def iq4_xs(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 8, 32)
    scales = _extreme(x) / -127
    d = _stored(np.abs(scales).max(-1) / 31)
    sc = np.rint(_over(scales, np.repeat(d[:, None], 8, 1)))
    q = _on_curve(x, (d[:, None] * sc)[..., None])
    stored = (sc + 32).astype(np.uint16)
    high = np.bitwise_or.reduce((stored >> 4) << np.arange(0, 16, 2, dtype=np.uint16), axis=1)
    low = (stored & 15).astype(np.uint8).reshape(-1, 4, 2)
    return np.concatenate(
        [
            _half(d),
            high.astype("<u2").reshape(-1, 1).view(np.uint8),
            low[..., 0] | low[..., 1] << 4,
            _shifted(q.reshape(-1, 8, 2, 16), 4).reshape(-1, 128),
        ],
        axis=1,
    )


def nvfp4(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 4, 16)
    stored = quants.NVFP4.fp32_to_ue4m3(np.abs(x).max(-1) / 6)
    step = quants.NVFP4.ue4m3_to_fp32(stored)[..., None].astype(np.float32)
    values = np.array(quants.NVFP4.kvalues, np.float32)
    q = np.abs(_over(x, np.broadcast_to(step, x.shape))[..., None] - values).argmin(-1)
    packed = _shifted(q.reshape(-1, 4, 2, 8), 4).reshape(-1, 32)
    return np.concatenate([stored.astype(np.uint8), packed], axis=1)


def _grid(cls: type) -> np.ndarray:
    """The codebook of a grid type, shape (entries, weights of an entry)."""
    cls.init_grid()
    return cls.grid.reshape(cls.grid_shape)


def _nearest(points: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Index of each point's nearest entry of the grid."""
    flat = points.reshape(-1, grid.shape[1])
    lengths = (grid * grid).sum(-1) / 2
    found = [(flat[i : i + 8192] @ grid.T - lengths).argmax(-1) for i in range(0, len(flat), 8192)]
    return np.concatenate(found).reshape(points.shape[:-1])


def _graded(x: np.ndarray, largest: float, levels: int, offset: float, unit: float) -> tuple:
    """(d, grade, step) where a sub-block's step is d * (offset + grade) * unit."""
    steps = np.abs(x).max(-1) / largest
    d = _stored(steps.max(-1) / ((offset + levels - 1) * unit))
    grades = np.rint(_over(steps, np.repeat(d[:, None] * unit, x.shape[1], 1)) - offset)
    grades = np.clip(grades, 0, levels - 1)
    return d, grades.astype(np.uint8), d[:, None] * (offset + grades) * unit


def _even_signs(x: np.ndarray) -> np.ndarray:
    """Seven sign bits of each eight weights; the eighth makes the number of minuses even."""
    minus = x < 0
    odd = minus.sum(-1) % 2 == 1
    smallest = np.abs(x).argmin(-1)
    flip = np.zeros_like(minus)
    np.put_along_axis(flip, smallest[..., None], odd[..., None], -1)
    return np.packbits(minus ^ flip, axis=-1, bitorder="little")[..., 0] & 127


def _signs(x: np.ndarray) -> np.ndarray:
    return np.packbits(x.reshape(len(x), -1, 8) < 0, axis=-1, bitorder="little")[..., 0]


def _magnitudes(x: np.ndarray, step: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Index of the entry nearest to the absolute weights, one per entry's length."""
    scaled = np.abs(_over(x, np.broadcast_to(step[..., None], x.shape)))
    return _nearest(scaled.reshape(len(x), -1, grid.shape[1]), grid)


def _nibbles(values: np.ndarray) -> np.ndarray:
    return values[:, 0::2] | values[:, 1::2] << 4


def _words(values: np.ndarray, kind: str) -> np.ndarray:
    return np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(values), -1)


def _signs_and_grade(x: np.ndarray, grades: np.ndarray) -> np.ndarray:
    """Four times seven sign bits and four bits of grade, one uint32 for 32 weights."""
    signs = _even_signs(x.reshape(len(x), 8, 4, 8)).astype(np.uint32)
    word = np.bitwise_or.reduce(signs << np.arange(0, 28, 7, dtype=np.uint32), axis=-1)
    return word | grades.astype(np.uint32) << 28


def iq2_xxs(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 8, 32)
    d, grades, step = _graded(x, 43, 16, 0.5, 0.25)
    index = _magnitudes(x, step, _grid(quants.IQ2_XXS)).astype(np.uint8)
    first = np.ascontiguousarray(index.reshape(-1, 8, 4)).view("<u4")[..., 0]
    words = np.stack([first, _signs_and_grade(x, grades)], axis=-1)
    return np.concatenate([_half(d), _words(words, "<u4")], axis=1)


def iq2_xs(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 16, 16)
    d, grades, step = _graded(x, 43, 16, 0.5, 0.25)
    index = _magnitudes(x, step, _grid(quants.IQ2_XS))
    signs = _even_signs(x.reshape(len(x), 32, 8)).astype(np.uint16)
    return np.concatenate([_half(d), _words(index | signs << 9, "<u2"), _nibbles(grades)], axis=1)


def iq2_s(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 16, 16)
    d, grades, step = _graded(x, 43, 16, 0.5, 0.25)
    index = _magnitudes(x, step, _grid(quants.IQ2_S))
    high = _shifted((index >> 8).reshape(-1, 8, 4, 1), 2)[..., 0]
    low = (index & 255).astype(np.uint8)
    return np.concatenate([_half(d), low, _signs(x), high, _nibbles(grades)], axis=1)


def iq3_xxs(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 8, 32)
    d, grades, step = _graded(x, 62, 16, 0.5, 0.5)
    index = _magnitudes(x, step, _grid(quants.IQ3_XXS)).astype(np.uint8)
    return np.concatenate([_half(d), index, _words(_signs_and_grade(x, grades), "<u4")], axis=1)


def iq3_s(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 8, 32)
    d, grades, step = _graded(x, 15, 16, 0.5, 2)
    index = _magnitudes(x, step, _grid(quants.IQ3_S))
    high = np.packbits((index >> 8).reshape(-1, 8, 8), axis=-1, bitorder="little")[..., 0]
    low = (index & 255).astype(np.uint8)
    return np.concatenate([_half(d), low, high, _signs(x), _nibbles(grades)], axis=1)


def _ternary(x: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index, whether the shift is minus) for rows of eight weights; x is (..., 8)."""
    grid, delta = _grid(quants.IQ1_S), quants.IQ1_S.delta
    scaled = _over(x, np.broadcast_to(step[..., None], x.shape))
    plus, minus = _nearest(scaled - delta, grid), _nearest(scaled + delta, grid)
    worse = ((grid[plus] + delta - scaled) ** 2).sum(-1) > (
        (grid[minus] - delta - scaled) ** 2
    ).sum(-1)
    return np.where(worse, minus, plus), worse


def iq1_s(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 8, 32)
    d, grades, step = _graded(x, 1.125, 8, 0.5, 2)
    rows = x.reshape(-1, 8, 4, 8)
    # One shift for 32 weights: the one that most of the four rows want.
    _, minus = _ternary(rows, np.repeat(step[..., None], 4, -1))
    shift = np.where(minus.mean(-1) > 0.5, -1, 1) * quants.IQ1_S.delta
    scaled = _over(rows, np.broadcast_to(step[..., None, None], rows.shape))
    index = _nearest(scaled - shift[..., None, None], _grid(quants.IQ1_S))
    high = np.bitwise_or.reduce(
        (index >> 8).astype(np.uint16) << np.arange(0, 12, 3, dtype=np.uint16), axis=-1
    )
    qh = high | grades.astype(np.uint16) << 12 | (shift < 0).astype(np.uint16) << 15
    low = (index & 255).astype(np.uint8).reshape(-1, 32)
    return np.concatenate([_half(d), low, _words(qh, "<u2")], axis=1)


def iq1_m(x: Blocks) -> np.ndarray:
    x = x.reshape(-1, 16, 16)
    d, grades, step = _graded(x, 1.125, 8, 0.5, 2)
    index, minus = _ternary(x.reshape(-1, 16, 2, 8), np.repeat(step[..., None], 2, -1))
    index, minus = index.reshape(-1, 32), minus.reshape(-1, 32)
    high = (index >> 8 | minus << 3).astype(np.uint8)
    words = np.bitwise_or.reduce(
        grades.astype(np.uint16).reshape(-1, 4, 4) << np.arange(0, 12, 3, dtype=np.uint16), axis=-1
    )
    bits = d.astype("<f2").view(np.uint16)[:, None] >> np.arange(0, 16, 4, dtype=np.uint16)
    scales = words | (bits & 15) << 12
    return np.concatenate(
        [(index & 255).astype(np.uint8), _nibbles(high), _words(scales, "<u2")], axis=1
    )


ENCODERS: dict[Type, Callable[[Blocks], np.ndarray]] = {
    Type.Q2_K: q2_k,
    Type.Q3_K: q3_k,
    Type.Q4_K: q4_k,
    Type.Q5_K: q5_k,
    Type.Q6_K: q6_k,
    Type.IQ4_NL: iq4_nl,
    Type.IQ4_XS: iq4_xs,
    Type.IQ2_XXS: iq2_xxs,
    Type.IQ2_XS: iq2_xs,
    Type.IQ2_S: iq2_s,
    Type.IQ3_XXS: iq3_xxs,
    Type.IQ3_S: iq3_s,
    Type.IQ1_S: iq1_s,
    Type.IQ1_M: iq1_m,
    Type.NVFP4: nvfp4,
}
