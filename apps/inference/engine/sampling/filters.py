"""Top-k, top-p and min-p: the unlikely end of a distribution taken away.

They apply in this order, each to what the one before left over, as vLLM and the
transformers library order them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import mlx.core as mx

from apps.inference.engine.sampling.subset import on_rows

_CANDIDATES = 1024
"""A top-k up to this is found without sorting the vocabulary, which on a CPU takes
4 ms per row of 49,152. Always this many are looked at, whatever the top-k: what a row
gets must not depend on its neighbours, in no bit."""


class Filters(Protocol):
    @property
    def top_p(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def min_p(self) -> float: ...


def filtered(logits: mx.array, rows: Sequence[Filters]) -> mx.array:
    """Logits with everything outside top-k, top-p and min-p at minus infinity.

    Args:
        logits: float32, shape (rows, vocabulary), the temperature applied.
    """
    vocabulary = logits.shape[-1]
    bound = min(_CANDIDATES, vocabulary)

    def few(row: Filters) -> bool:
        return 0 < row.top_k <= bound

    logits = on_rows(logits, rows, few, lambda part, chosen: _likeliest(part, chosen, bound))
    logits = on_rows(
        logits,
        rows,
        lambda row: row.top_k > bound,
        lambda part, chosen: _likeliest(part, chosen, vocabulary),
    )
    logits = on_rows(logits, rows, lambda row: row.top_k == 0 and row.top_p < 1, _nucleus)
    return on_rows(logits, rows, lambda row: row.min_p > 0, _above_floor)


def _likeliest(logits: mx.array, rows: Sequence[Filters], candidates: int) -> mx.array:
    """Top-k, then top-p, looking at the ``candidates`` likeliest tokens of each row."""
    vocabulary = logits.shape[-1]
    falling = -logits
    if candidates < vocabulary:
        falling = mx.partition(falling, candidates - 1, axis=-1)[:, :candidates]
    ordered = -mx.sort(falling, axis=-1)
    kept = mx.array([[min(row.top_k or candidates, candidates)] for row in rows])
    in_top_k = mx.arange(candidates)[None, :] < kept
    probabilities = mx.softmax(mx.where(in_top_k, ordered, -mx.inf), axis=-1)
    before = mx.cumsum(probabilities, axis=-1) - probabilities
    top_p = mx.array([[row.top_p] for row in rows], dtype=mx.float32)
    # 1 is off; rounding may bring the sum of all before a token to it too early.
    within = in_top_k & ((before < top_p) | (top_p >= 1))
    # The most likely token always stays: its rank is 0 and nothing comes before it.
    last = mx.sum(within, axis=-1, keepdims=True) - 1
    threshold = mx.take_along_axis(ordered, last, axis=-1)
    return mx.where(logits < threshold, -mx.inf, logits)


def _nucleus(logits: mx.array, rows: Sequence[Filters]) -> mx.array:
    """Top-p alone (Holtzman et al. 2020): the likeliest tokens that make up that share."""
    top_p = mx.array([[row.top_p] for row in rows], dtype=mx.float32)
    probabilities = mx.softmax(logits, axis=-1)
    # All tokens below this together are not half of what top-p leaves out, so they are
    # not in it. Made equal, they are sorted several times as fast.
    negligible = (1 - top_p) / (2 * logits.shape[-1])
    ordered = -mx.sort(-mx.where(probabilities < negligible, 0, probabilities), axis=-1)
    before = mx.cumsum(ordered, axis=-1) - ordered
    last = mx.sum(before < top_p, axis=-1, keepdims=True) - 1
    threshold = mx.take_along_axis(ordered, last, axis=-1)
    return mx.where(probabilities < threshold, -mx.inf, logits)


def _above_floor(logits: mx.array, rows: Sequence[Filters]) -> mx.array:
    """Min-p: tokens at least that share as likely as the likeliest one."""
    floors = mx.array([[math.log(row.min_p)] for row in rows], dtype=mx.float32)
    highest = mx.max(logits, axis=-1, keepdims=True)
    return mx.where(logits < highest + floors, -mx.inf, logits)
