"""KV of consecutive tokens over all layers, as MLX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import BatchKVCache, KVCache

from apps.inference.engine.prompt_cache.records import RecordArrays

_LayerKV = tuple[mx.array, mx.array]

_ROOM_STEP = 256
"""Capacity is rounded up to this many tokens, as mlx-lm's KVCache grows."""


class KVSpan:
    """Keys and values, per layer, each of shape (1, heads, tokens, head dimension)."""

    def __init__(self, layers: Sequence[_LayerKV]) -> None:
        self.layers = tuple(layers)

    @property
    def tokens(self) -> int:
        return int(self.layers[0][0].shape[2])

    @property
    def nbytes(self) -> int:
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)

    def cut(self, start: int, stop: int) -> KVSpan:
        return KVSpan([(_own(k, start, stop), _own(v, start, stop)) for k, v in self.layers])

    def head(self, tokens: int) -> KVSpan:
        """A view of the first tokens, to be read at once: it keeps the whole span alive."""
        if tokens == self.tokens:
            return self
        return KVSpan([(k[:, :, :tokens, :], v[:, :, :tokens, :]) for k, v in self.layers])

    def evaluate(self) -> None:
        """Copy now, so that what the span was cut from can be freed."""
        mx.eval(self.layers)

    def export(self) -> RecordArrays:
        """The same numbers as NumPy arrays, readable from any thread.

        bfloat16, which NumPy lacks, travels as its bits.
        """
        self.evaluate()
        return [(_to_numpy(k), _to_numpy(v)) for k, v in self.layers]


def span_from_arrays(arrays: RecordArrays, dtype: str) -> KVSpan:
    """The inverse of ``export``; ``dtype`` is what ``span_dtype`` said then."""
    return KVSpan([(_from_numpy(k, dtype), _from_numpy(v, dtype)) for k, v in arrays])


def span_dtype(span: KVSpan) -> str:
    return str(span.layers[0][0].dtype).removeprefix("mlx.core.")


def cacheable(cache: Sequence[Any]) -> bool:
    """Whether every layer keeps plain KV, which can be cut at any token."""
    return all(type(layer) is KVCache for layer in cache)


def cache_from_spans(spans: Sequence[KVSpan], room: int) -> list[KVCache]:
    """A model's cache holding the spans in order, with capacity for ``room`` more tokens.

    One concatenation does it all: growing the cache afterwards would copy the
    prompt a second time.
    """
    held = sum(span.tokens for span in spans)
    spare = -(-(held + room) // _ROOM_STEP) * _ROOM_STEP - held
    return [
        _layer_cache([span.layers[i] for span in spans], held, spare)
        for i in range(len(spans[0].layers))
    ]


def span_of_cache(cache: Sequence[KVCache], start: int, stop: int) -> KVSpan:
    """The KV of tokens ``start`` to ``stop`` of one sequence's cache."""
    return KVSpan([(_own(c.keys, start, stop), _own(c.values, start, stop)) for c in cache])


def span_of_row(cache: Sequence[BatchKVCache], row: int, start: int, stop: int) -> KVSpan:
    """The KV of tokens ``start`` to ``stop`` of one row of a batch's cache."""
    padding = int(cache[0].left_padding[row].item())
    start, stop = start + padding, stop + padding
    return KVSpan(
        [
            (_own(c.keys[row : row + 1], start, stop), _own(c.values[row : row + 1], start, stop))
            for c in cache
        ]
    )


def _layer_cache(parts: Sequence[_LayerKV], held: int, spare: int) -> KVCache:
    cache = KVCache()
    cache.keys = _joined([keys for keys, _ in parts], spare)
    cache.values = _joined([values for _, values in parts], spare)
    cache.offset = held
    return cache


def _joined(parts: list[mx.array], spare: int) -> mx.array:
    batch, heads, _, dimension = parts[0].shape
    empty = mx.zeros((batch, heads, spare, dimension), parts[0].dtype)
    return mx.concatenate([*parts, empty], axis=2)


def _own(array: mx.array, start: int, stop: int) -> mx.array:
    """A copy of the slice. A view would keep the whole of its source alive."""
    part = array[:, :, start:stop, :]
    if array.shape[1] == 1 and stop - start > 1:
        # With one head the slice is contiguous already, and mx.contiguous
        # would return the view.
        return mx.concatenate([part[:, :, :1, :], part[:, :, 1:, :]], axis=2)
    return mx.contiguous(part)


def _to_numpy(array: mx.array) -> np.ndarray:
    return np.array(array.view(mx.uint16) if array.dtype == mx.bfloat16 else array, copy=False)


def _from_numpy(array: np.ndarray, dtype: str) -> mx.array:
    loaded = mx.array(array)
    return loaded.view(mx.bfloat16) if dtype == "bfloat16" else loaded
