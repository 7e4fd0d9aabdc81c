"""Logit bias: numbers that a request adds to the logits of single tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import mlx.core as mx
import numpy as np

from apps.inference.engine.errors import InvalidRequest


class LogitBias:
    """One row's bias, spread over the vocabulary once that is known."""

    def __init__(self, bias: Mapping[int, float]) -> None:
        self._bias = bias
        self._spread: mx.array | None = None

    def over(self, vocabulary: int) -> mx.array:
        """Shape (vocabulary,), float32, 0 where nothing is added."""
        if self._spread is None:
            spread = np.zeros(vocabulary, dtype=np.float32)
            for token, value in self._bias.items():
                # An embedding may be smaller than the tokenizer's vocabulary.
                if token < vocabulary:
                    spread[token] = value
            self._spread = mx.array(spread)
        return self._spread


def biased(logits: mx.array, rows: Sequence[LogitBias]) -> mx.array:
    """``logits``: float32, shape (rows, vocabulary)."""
    return logits + mx.stack([row.over(logits.shape[-1]) for row in rows])


def check_bias(bias: Mapping[int, float], vocabulary: int) -> None:
    """Raises InvalidRequest where a bias names no token or no number."""
    for token, value in bias.items():
        if not 0 <= token < vocabulary:
            raise InvalidRequest(
                f"logit_bias names token {token}; this model's tokens go from 0 to "
                f"{vocabulary - 1}."
            )
        if not math.isfinite(value):
            raise InvalidRequest(
                f"logit_bias gives token {token} the value {value}; use finite numbers, "
                "-100 to rule a token out."
            )
