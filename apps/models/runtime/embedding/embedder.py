"""Texts' tokens to vectors: a transformer's last states, pooled as its description says."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from apps.models.runtime.embedding.bert import Encoder
from apps.models.runtime.embedding.description import EmbeddingDescription

_LEAST = 1e-12
"""Below any length a vector can have; a vector of zeros stays one."""


class Embedder:
    """A loaded transformer as a function of token ids."""

    def __init__(self, model: nn.Module, description: EmbeddingDescription, *, width: int) -> None:
        """``model``: an Encoder, or a causal language model of mlx-lm's."""
        self._model: Any = model
        self._description = description
        self.width = width
        """Numbers in a whole vector."""

    def __call__(
        self, inputs: Sequence[Sequence[int]], *, dimensions: int | None = None
    ) -> mx.array:
        """``passes`` at one go."""
        passes = self.passes(inputs, chunk=max(map(len, inputs)), dimensions=dimensions)
        while True:
            try:
                next(passes)
            except StopIteration as end:
                vectors: mx.array = end.value
                return vectors

    def passes(
        self, inputs: Sequence[Sequence[int]], *, chunk: int, dimensions: int | None = None
    ) -> Generator[None, None, mx.array]:
        """A vector for each input, shape (inputs, dimensions), float32, not evaluated.

        Yields between the forward passes: a causal model reads ``chunk`` tokens of each
        input at a time, an encoder all of them at once. Inputs of different lengths are
        padded: such of like length cost the least together. With ``dimensions``, the first
        so many numbers of each vector (Kusupati et al. 2022, "Matryoshka Representation
        Learning").
        """
        lengths = [len(tokens) for tokens in inputs]
        longest = max(lengths)
        tokens = mx.array([[*each, *[0] * (longest - len(each))] for each in inputs])
        counts = mx.array(lengths)
        mask = None if min(lengths) == longest else mx.arange(longest) < counts[:, None]
        if isinstance(self._model, Encoder):
            states = self._model(tokens, mask)
        else:
            states = yield from self._read(tokens, chunk)
        pooled = self._pooled(states.astype(mx.float32), mask, counts)[:, :dimensions]
        if not self._description.normalize:
            return pooled
        return pooled / mx.maximum(mx.linalg.norm(pooled, axis=-1, keepdims=True), _LEAST)

    def _read(self, tokens: mx.array, chunk: int) -> Generator[None, None, mx.array]:
        """A causal model's last states. No token sees what comes after it, so none the padding."""
        length = tokens.shape[1]
        if length <= chunk:
            states: mx.array = self._model.model(tokens)
            return states
        cache = make_prompt_cache(self._model)
        parts = []
        for start in range(0, length, chunk):
            parts.append(self._model.model(tokens[:, start : start + chunk], cache=cache))
            mx.eval(parts[-1], [layer.state for layer in cache])
            yield
        return mx.concatenate(parts, axis=1)

    def _pooled(self, states: mx.array, mask: mx.array | None, counts: mx.array) -> mx.array:
        seen = None if mask is None else mask[..., None]
        match self._description.pooling:
            case "cls":
                return states[:, 0]
            case "lasttoken":
                return states[mx.arange(len(states)), counts - 1]
            case "max":
                shown = states if seen is None else mx.where(seen, states, -mx.inf)
                return shown.max(axis=1)
            case "mean":
                shown = states if seen is None else mx.where(seen, states, 0)
                return shown.sum(axis=1) / counts[:, None]
