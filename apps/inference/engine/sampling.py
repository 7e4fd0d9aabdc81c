"""Choosing the next token for every row of a batch in one pass.

Each row draws with a key of its own, made from its seed and the position of the
token. So a row's randomness depends on neither its neighbours nor the order in
which rows joined, and a seeded request repeats itself in any company, as far as
the logits do.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence

import mlx.core as mx

from apps.inference.engine.protocol import Sampling

_MASK64 = (1 << 64) - 1


class RowSampler:
    """One request's sampling settings and its stream of random keys."""

    def __init__(self, sampling: Sampling) -> None:
        self.temperature = sampling.temperature
        self.top_p = sampling.top_p
        self.top_k = sampling.top_k
        self.min_p = sampling.min_p
        self._seed = secrets.randbits(64) if sampling.seed is None else sampling.seed & _MASK64
        self._drawn = 0

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    @property
    def filters(self) -> bool:
        return self.top_p < 1 or self.top_k > 0 or self.min_p > 0

    def next_key(self) -> tuple[int, int]:
        """The next draw's random key, as the two halves that MLX keys consist of."""
        self._drawn += 1
        bits = _mix(self._seed + self._drawn * 0x9E3779B97F4A7C15)
        return bits >> 32, bits & 0xFFFFFFFF


def sample(logits: mx.array, rows: Sequence[RowSampler]) -> mx.array:
    """The next token of each row.

    Args:
        logits: shape (rows, vocabulary).

    Returns:
        Token ids, shape (rows,), not evaluated. Temperature is applied first,
        then top-k, top-p and min-p to the resulting distribution, as the
        transformers library orders them.
    """
    greedy = mx.argmax(logits, axis=-1)
    if all(row.greedy for row in rows):
        return greedy
    temperatures = mx.array([[row.temperature or 1.0] for row in rows], dtype=mx.float32)
    scaled = logits.astype(mx.float32) / temperatures
    if any(row.filters for row in rows):
        scaled = _filtered(scaled, rows)
    keys = mx.array([row.next_key() for row in rows], dtype=mx.uint32)
    drawn = _draw(keys, scaled)
    if not any(row.greedy for row in rows):
        return drawn
    return mx.where(mx.array([row.greedy for row in rows]), greedy, drawn)


def _draw(keys: mx.array, logits: mx.array) -> mx.array:
    return mx.vmap(lambda key, row: mx.random.categorical(row, key=key))(keys, logits)


def _filtered(logits: mx.array, rows: Sequence[RowSampler]) -> mx.array:
    """Logits with everything outside top-k, top-p and min-p at minus infinity."""
    vocabulary = logits.shape[-1]
    ordered = -mx.sort(-logits, axis=-1)
    probabilities = mx.softmax(ordered, axis=-1)
    before = mx.cumsum(probabilities, axis=-1) - probabilities
    kept = mx.array([[row.top_k or vocabulary] for row in rows])
    top_p = mx.array([[row.top_p] for row in rows], dtype=mx.float32)
    # The most likely token always stays: its rank is 0 and nothing comes before it.
    within = (mx.arange(vocabulary)[None, :] < kept) & (before < top_p)
    last = mx.sum(within, axis=-1, keepdims=True) - 1
    threshold = mx.take_along_axis(ordered, last, axis=-1)
    floors = mx.array(
        [[math.log(row.min_p) if row.min_p else -math.inf] for row in rows], dtype=mx.float32
    )
    threshold = mx.maximum(threshold, ordered[:, :1] + floors)
    return mx.where(logits < threshold, -mx.inf, logits)


def _mix(bits: int) -> int:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): neighbouring inputs, unrelated outputs."""
    bits &= _MASK64
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK64
    return bits ^ (bits >> 31)
