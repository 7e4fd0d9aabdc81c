"""Penalties for tokens that were there already.

The counts stay on the device and are updated with a sampled token before anybody
has read it, so a penalised row waits for nothing.

With c the count of a token in the answer so far and l its logit:

- repetition r (Keskar et al. 2019, CTRL, section 4.1): where the token is in the
  prompt or the answer, l / r for a positive l and l * r for a negative one;
- presence p: l - p where c > 0;
- frequency f: l - f * c (both as OpenAI's API reference defines them).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mlx.core as mx
import numpy as np

from apps.inference.engine.protocol import Sampling
from apps.inference.engine.tokens import Tokens


class Penalties:
    """One row's penalties and the tokens that they count."""

    def __init__(self, sampling: Sampling, prompt: Tokens) -> None:
        self.repetition = sampling.repetition_penalty
        self.presence = sampling.presence_penalty
        self.frequency = sampling.frequency_penalty
        self._prompt = prompt
        self._answer: tuple[int, ...] = ()
        self._in_prompt: mx.array | None = None
        self._counts: mx.array | None = None

    @classmethod
    def wanted(cls, sampling: Sampling) -> bool:
        return (
            sampling.repetition_penalty != 1
            or sampling.presence_penalty != 0
            or sampling.frequency_penalty != 0
        )

    def resume(self, answer: Iterable[int]) -> None:
        """Start over from an answer of which this much exists."""
        self._answer = tuple(answer)
        self._counts = None

    def count(self, token: mx.array) -> None:
        """Take note of the token that was sampled; ``token`` need not be evaluated."""
        assert self._counts is not None
        self._counts = self._counts.at[token].add(1)

    def in_prompt(self, vocabulary: int) -> mx.array:
        """Shape (vocabulary,), bool."""
        if self._in_prompt is None:
            self._in_prompt = mx.array(_counted(self._prompt, vocabulary) > 0)
        return self._in_prompt

    def counts(self, vocabulary: int) -> mx.array:
        """Shape (vocabulary,), float32: how often the answer has each token."""
        if self._counts is None:
            self._counts = mx.array(_counted(self._answer, vocabulary))
        return self._counts


def penalised(logits: mx.array, rows: Sequence[Penalties]) -> mx.array:
    """``logits``: float32, shape (rows, vocabulary).

    A penalty that only a neighbour has is neutral here: dividing by 1 and taking
    away 0 change no bit.
    """
    vocabulary = logits.shape[-1]
    counts = mx.stack([row.counts(vocabulary) for row in rows])
    answered = counts > 0
    if any(row.repetition != 1 for row in rows):
        seen = answered | mx.stack([row.in_prompt(vocabulary) for row in rows])
        factor = _column([row.repetition for row in rows])
        weakened = mx.where(logits > 0, logits / factor, logits * factor)
        logits = mx.where(seen, weakened, logits)
    logits = logits - _column([row.presence for row in rows]) * answered
    return logits - _column([row.frequency for row in rows]) * counts


def _column(values: list[float]) -> mx.array:
    return mx.array(values, dtype=mx.float32)[:, None]


def _counted(tokens: Tokens, vocabulary: int) -> np.ndarray:
    counts = np.bincount(np.array(tokens, dtype=np.int64), minlength=vocabulary)
    return counts[:vocabulary].astype(np.float32)
