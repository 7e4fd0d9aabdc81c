"""Scaled dot-product attention with the softmax computed by NumPy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mlx.core as mx
import numpy as np

_mlx_attention = mx.fast.scaled_dot_product_attention

_SMALL = 2048
"""Scores up to which MLX's own softmax costs less than leaving the graph for NumPy's."""

_BLOCK = 128 * 1024
"""Scores worked on at a time, so that they stay in a core's cache."""

_HIDDEN = np.finfo(np.float32).min


def scaled_dot_product_attention(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    *,
    scale: float,
    mask: mx.array | str | None = None,
    sinks: mx.array | None = None,
    **options: Any,
) -> mx.array:
    """As mx.fast.scaled_dot_product_attention, which takes over where this gains nothing.

    Args:
        q: shape (batch, heads, queries, head dimension), float32.
        k, v: shape (batch, KV heads, keys, head dimension).
        mask: "causal", or an array that broadcasts to (batch, heads, queries, keys):
            boolean (True is seen) or added to the scores.
    """
    batch, heads, length, dimension = q.shape
    kv_heads, keys = k.shape[1], k.shape[2]
    if sinks is not None or q.dtype != mx.float32 or batch * heads * length * keys < _SMALL:
        return _mlx_attention(q, k, v, scale=scale, mask=mask, sinks=sinks, **options)
    # The queries of a group of heads share their keys: one product per KV head.
    group = heads // kv_heads
    scores = (q * scale).reshape(batch, kv_heads, group * length, dimension) @ k.swapaxes(-1, -2)
    mx.eval(scores, *([mask] if isinstance(mask, mx.array) else []))
    # A view: what NumPy writes is what MLX goes on with.
    view = np.asarray(scores).reshape(batch, kv_heads, group, length, keys)
    _hide(view, mask)
    totals = _exponentials(view.reshape(-1, keys))
    sums = mx.array(totals.reshape(batch, kv_heads, group * length, 1))
    return ((scores @ v) / sums).reshape(batch, heads, length, v.shape[-1])


def _hide(scores: np.ndarray, mask: mx.array | str | None) -> None:
    """Apply the mask in place; scores has shape (batch, KV heads, group, queries, keys)."""
    if mask is None:
        return
    _, kv_heads, group, length, keys = scores.shape
    if isinstance(mask, str):
        # Everything before the queries' own stretch is seen by all of them.
        np.copyto(scores[..., keys - length :], _HIDDEN, where=_future(length))
        return
    given = np.asarray(mask)
    given = given.reshape((1,) * (4 - given.ndim) + given.shape)
    shared = given.shape[1] == 1
    given = given.reshape(
        given.shape[0], *((1, 1) if shared else (kv_heads, group)), *given.shape[2:]
    )
    if given.dtype == np.bool_:
        np.copyto(scores, _HIDDEN, where=~given)
    else:
        scores += given


@lru_cache(maxsize=16)
def _future(length: int) -> np.ndarray:
    return ~np.tri(length, dtype=np.bool_)


def _exponentials(rows: np.ndarray) -> np.ndarray:
    """Turn scores into exponentials of their distance to the row's largest, in place.

    Returns the sum of each row, shape (rows, 1).
    """
    totals = np.empty((len(rows), 1), np.float32)
    step = max(1, _BLOCK // rows.shape[1])
    for at in range(0, len(rows), step):
        block = rows[at : at + step]
        block -= block.max(axis=-1, keepdims=True)
        np.exp(block, out=block)
        block.sum(axis=-1, keepdims=True, out=totals[at : at + step])
    return totals
