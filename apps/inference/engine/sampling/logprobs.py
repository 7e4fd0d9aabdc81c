"""Log probabilities of chosen tokens, by the model's own distribution.

The log-softmax of the logits as the model gave them: before bias, penalties,
grammar, temperature and filters, as OpenAI documents them and vLLM does by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import mlx.core as mx

LOWEST = -9999.0
"""Stands for minus infinity, which JSON has no number for; OpenAI's value for it."""


@dataclass(frozen=True)
class ChosenToken:
    """A token, how likely it was, and the likeliest ones at its place, in falling order."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


class LogprobBatch:
    """The log probabilities of one step's rows; computed lazily, read together once."""

    def __init__(self, logits: mx.array, tokens: mx.array, tops: Sequence[int]) -> None:
        """
        Args:
            logits: shape (rows, vocabulary), the model's own.
            tokens: shape (rows,), the chosen ones.
            tops: how many of the likeliest tokens each row wants.
        """
        logits = logits.astype(mx.float32)
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        self._tops = tuple(min(top, logits.shape[-1]) for top in tops)
        self._tokens = tokens
        self._chosen = mx.take_along_axis(logprobs, tokens[:, None], axis=-1)[:, 0]
        self._likeliest, self._likely = _top(logprobs, max(self._tops))

    @property
    def arrays(self) -> list[mx.array]:
        """What has to be evaluated before ``read`` is cheap."""
        return [self._tokens, self._chosen, self._likeliest, self._likely]

    def read(self, row: int) -> ChosenToken:
        tokens, chosen, likeliest, likely = self._read
        top = zip(likeliest[row], likely[row], strict=True)
        return ChosenToken(
            token=tokens[row],
            logprob=max(chosen[row], LOWEST),
            top=tuple((token, max(value, LOWEST)) for token, value in top)[: self._tops[row]],
        )

    @cached_property
    def _read(self) -> tuple[list[int], list[float], list[list[int]], list[list[float]]]:
        tokens, chosen, likeliest, likely = (array.tolist() for array in self.arrays)
        return tokens, chosen, likeliest, likely  # type: ignore[return-value]


def _top(logprobs: mx.array, count: int) -> tuple[mx.array, mx.array]:
    """The ``count`` likeliest tokens of each row and their log probabilities, falling."""
    if count == 0:
        return mx.zeros((logprobs.shape[0], 0), dtype=mx.uint32), logprobs[:, :0]
    tokens = mx.argpartition(-logprobs, count - 1, axis=-1)[:, :count]
    values = mx.take_along_axis(logprobs, tokens, axis=-1)
    order = mx.argsort(-values, axis=-1)
    return (
        mx.take_along_axis(tokens, order, axis=-1),
        mx.take_along_axis(values, order, axis=-1),
    )
