"""Rotary position embeddings from tables that all layers of a forward pass share.

Su, Lu, Pan, Murtadha, Wen, Liu 2021, https://arxiv.org/abs/2104.09864; the halves
of a vector are rotated against each other, as in GPT-NeoX.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

_mlx_rope = mx.fast.rope

_TABLES = 32
"""Tables kept; a forward pass needs one or two."""


@dataclass(frozen=True)
class _Table:
    """Rotations of consecutive positions.

    One position is a rotation matrix, so that it is a single product; more of them
    are factors for the vector and for its swapped halves.
    """

    factors: tuple[mx.array, ...]
    freqs: mx.array | None
    """Kept alive: its identity is part of the key."""


_tables: OrderedDict[tuple[Any, ...], _Table] = OrderedDict()


def rope(
    a: mx.array,
    dims: int,
    *,
    traditional: bool,
    base: float | None,
    scale: float,
    offset: int | mx.array,
    freqs: mx.array | None = None,
    stream: Any = None,
) -> mx.array:
    """As mx.fast.rope, which takes over where pairs are interleaved or dimensions left out.

    Args:
        a: shape (batch, heads, positions, dimension).
        offset: position of the first vector, one for all or one for each of the batch.
    """
    if traditional or a.ndim != 4 or a.shape[-1] != dims or a.dtype != mx.float32:
        return _mlx_rope(
            a, dims, traditional=traditional, base=base, scale=scale, offset=offset,
            freqs=freqs, stream=stream,
        )  # fmt: skip
    starts = (offset,) if isinstance(offset, int) else tuple(np.asarray(offset).ravel().tolist())
    factors = _table(dims, base, scale, starts, a.shape[2], freqs).factors
    if len(factors) == 1:
        return a @ factors[0]
    half = dims // 2
    swapped = mx.concatenate([a[..., half:], a[..., :half]], axis=-1)
    return a * factors[0] + swapped * factors[1]


def _table(
    dims: int,
    base: float | None,
    scale: float,
    starts: tuple[int, ...],
    positions: int,
    freqs: mx.array | None,
) -> _Table:
    key = (dims, base, scale, starts, positions, id(freqs))
    table = _tables.get(key)
    if table is None:
        angles = _angles(dims, base, scale, starts, positions, freqs)
        table = _Table(_matrix(angles) if positions == 1 else _factors(angles), freqs)
        _tables[key] = table
        if len(_tables) > _TABLES:
            _tables.popitem(last=False)
    return table


def _angles(
    dims: int,
    base: float | None,
    scale: float,
    starts: tuple[int, ...],
    positions: int,
    freqs: mx.array | None,
) -> np.ndarray:
    """Shape (batch or 1, positions, dims / 2)."""
    if freqs is not None:
        inverse = 1.0 / np.asarray(freqs).astype(np.float64)
    else:
        assert base is not None
        inverse = base ** (-np.arange(0, dims, 2, dtype=np.float64) / dims)
    at = np.asarray(starts, np.float64)[:, None] + np.arange(positions)
    angles: np.ndarray = (at * scale)[..., None] * inverse
    return angles


def _matrix(angles: np.ndarray) -> tuple[mx.array]:
    """Shape (batch or 1, 1, dims, dims): a row vector times it is rotated."""
    cosines, sines = np.cos(angles[:, 0]), np.sin(angles[:, 0])
    half = cosines.shape[-1]
    matrix = np.zeros((len(angles), 1, 2 * half, 2 * half), np.float32)
    first, second = np.arange(half), np.arange(half) + half
    matrix[:, 0, first, first] = matrix[:, 0, second, second] = cosines
    matrix[:, 0, first, second] = sines
    matrix[:, 0, second, first] = -sines
    return (mx.array(matrix),)


def _factors(angles: np.ndarray) -> tuple[mx.array, mx.array]:
    """For the vector and for its swapped halves, each (batch or 1, 1, positions, dims)."""
    cosines, sines = np.cos(angles)[:, None], np.sin(angles)[:, None]
    own = np.concatenate([cosines, cosines], axis=-1).astype(np.float32)
    other = np.concatenate([-sines, sines], axis=-1).astype(np.float32)
    return mx.array(own), mx.array(other)
