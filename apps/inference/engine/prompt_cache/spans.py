"""The cache of consecutive tokens over all layers, as MLX arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import KVCache

from apps.inference.engine.prompt_cache.checkpoints import (
    Checkpoint,
    LayerState,
    Layout,
    capture,
    restore,
)
from apps.inference.engine.prompt_cache.records import Body

LayerKV = tuple[mx.array, mx.array]

_ROOM_STEP = 256
"""Capacity is rounded up to this many tokens, as mlx-lm's KVCache grows."""


class KVSpan:
    """Keys and values of the layers that keep them, and what the others were at the end.

    Each array has the shape (1, heads, tokens, head dimension). ``checkpoint`` is
    the state of the other layers after the last token, where there are such
    layers and it was kept.
    """

    def __init__(
        self, tokens: int, layers: Sequence[LayerKV], checkpoint: Checkpoint | None = None
    ) -> None:
        self.tokens = tokens
        self.layers = tuple(layers)
        self.checkpoint = checkpoint

    @property
    def nbytes(self) -> int:
        kv = sum(keys.nbytes + values.nbytes for keys, values in self.layers)
        return kv + (self.checkpoint.nbytes if self.checkpoint else 0)

    def cut(self, start: int, stop: int) -> KVSpan:
        layers = [(_own(k, start, stop), _own(v, start, stop)) for k, v in self.layers]
        return KVSpan(stop - start, layers, self.checkpoint if stop == self.tokens else None)

    def head(self, tokens: int) -> KVSpan:
        """A view of the first tokens, to be read at once: it keeps the whole span alive."""
        if tokens == self.tokens:
            return self
        return KVSpan(tokens, [(k[:, :, :tokens, :], v[:, :, :tokens, :]) for k, v in self.layers])

    def evaluate(self) -> None:
        """Copy now, so that what the span was cut from can be freed."""
        mx.eval(self.layers, self.checkpoint.present() if self.checkpoint else [])

    def export(self) -> Body:
        """The same numbers as NumPy arrays, readable from any thread.

        bfloat16, which NumPy lacks, travels as its bits.
        """
        self.evaluate()
        arrays: dict[str, mx.array] = {}
        for i, (keys, values) in enumerate(self.layers):
            arrays[f"{i}.keys"], arrays[f"{i}.values"] = keys, values
        states = self.checkpoint.layers if self.checkpoint else ()
        for i, state in enumerate(states):
            for j, array in enumerate(state.arrays):
                if array is not None:
                    arrays[f"state.{i}.{j}"] = array
        description = {
            "tokens": self.tokens,
            "layers": len(self.layers),
            "bfloat16": [name for name, array in arrays.items() if array.dtype == mx.bfloat16],
            "states": [[state.kind, len(state.arrays), state.numbers] for state in states],
        }
        return Body(
            {name: _to_numpy(array) for name, array in arrays.items()}, json.dumps(description)
        )


def span_from_body(body: Body) -> KVSpan:
    """The inverse of ``export``."""
    description = json.loads(body.description)
    arrays = {name: mx.array(array) for name, array in body.arrays.items()}
    for name in description["bfloat16"]:
        arrays[name] = arrays[name].view(mx.bfloat16)
    states = [
        LayerState(kind, tuple(arrays.get(f"state.{i}.{j}") for j in range(count)), tuple(numbers))
        for i, (kind, count, numbers) in enumerate(description["states"])
    ]
    layers = [(arrays[f"{i}.keys"], arrays[f"{i}.values"]) for i in range(description["layers"])]
    return KVSpan(description["tokens"], layers, Checkpoint(tuple(states)) if states else None)


def cache_from_spans(layout: Layout, spans: Sequence[KVSpan], room: int) -> list[Any]:
    """A model's cache holding the spans in order, with capacity for ``room`` more tokens.

    The last span has a checkpoint where the layout asks for one. One concatenation
    does it all: growing the cache afterwards would copy the prompt a second time.
    """
    held = sum(span.tokens for span in spans)
    spare = -(-(held + room) // _ROOM_STEP) * _ROOM_STEP - held
    checkpoint = spans[-1].checkpoint
    states = iter(checkpoint.layers if checkpoint else ())
    kv = zip(*(span.layers for span in spans), strict=True)
    return [
        _joined_layer(next(kv), held, spare) if kind == "kv" else restore(next(states))
        for kind in layout
    ]


def span_of_cache(layout: Layout, cache: Sequence[Any], start: int, stop: int) -> KVSpan:
    """Tokens ``start`` to ``stop`` of one sequence's cache, which is at ``stop`` now."""
    layers = [
        (_own(layer.keys, start, stop), _own(layer.values, start, stop))
        for kind, layer in zip(layout, cache, strict=True)
        if kind == "kv"
    ]
    return KVSpan(stop - start, layers, capture(cache) if _has_states(layout) else None)


def span_of_row(layout: Layout, cache: Sequence[Any], row: int, start: int, stop: int) -> KVSpan:
    """Tokens ``start`` to ``stop`` of one row of a batch's cache, which is at ``stop`` now."""
    layers: list[LayerKV] = []
    for kind, layer in zip(layout, cache, strict=True):
        if kind == "kv":
            begin = start + int(layer.left_padding[row].item())
            end = begin + stop - start
            layers.append(
                (
                    _own(layer.keys[row : row + 1], begin, end),
                    _own(layer.values[row : row + 1], begin, end),
                )
            )
    others = [layer.extract(row) for kind, layer in zip(layout, cache, strict=True) if kind != "kv"]
    return KVSpan(stop - start, layers, capture(others) if others else None)


def _has_states(layout: Layout) -> bool:
    return any(kind != "kv" for kind in layout)


def _joined_layer(parts: Sequence[LayerKV], held: int, spare: int) -> KVCache:
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
