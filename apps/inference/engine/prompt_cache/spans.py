"""The cache of consecutive tokens over all layers, as MLX arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import KVCache

from apps.inference.engine.prompt_cache.checkpoints import (
    Checkpoint,
    PartState,
    capture,
    copied,
    restore,
)
from apps.inference.engine.prompt_cache.layout import Layout
from apps.inference.engine.prompt_cache.quantized import (
    KVPart,
    arrays_of,
    dense,
    mapped,
    part_of,
    quantized,
)
from apps.inference.engine.prompt_cache.records import Body

LayerKV = tuple[KVPart, KVPart]
"""Keys and values of one cuttable part of a cache."""

_ROOM_STEP = 256
"""Capacity is rounded up to this many tokens, as mlx-lm's KVCache grows."""


class KVSpan:
    """Keys and values of the parts that keep them, and what the others were at the end.

    Keys and values have the shape (1, heads, tokens, head dimension), or are such
    in fewer bits. ``checkpoint`` is the state of the other parts after the last
    token, where there are such parts and it was kept. A span never changes.
    """

    def __init__(
        self, tokens: int, layers: Iterable[LayerKV], checkpoint: Checkpoint | None = None
    ) -> None:
        self.tokens = tokens
        self.layers = tuple(layers)
        self.checkpoint = checkpoint
        kv = sum(part.nbytes for layer in self.layers for part in layer)
        self.nbytes: int = kv + (checkpoint.nbytes if checkpoint else 0)

    def cut(self, start: int, stop: int) -> KVSpan:
        """The tokens ``start`` to ``stop`` of this span, in memory of their own.

        Copied at once: until then, the copy would keep the whole of this span alive.
        """
        checkpoint = self.checkpoint if stop == self.tokens else None
        own = self._each(lambda part: mapped(part, lambda array: _own(array, start, stop)))
        cut = KVSpan(stop - start, own, checkpoint)
        cut.evaluate()
        return cut

    def head(self, tokens: int) -> KVSpan:
        """A view of the first tokens, to be read at once: it keeps the whole span alive."""
        if tokens == self.tokens:
            return self
        view = self._each(lambda part: mapped(part, lambda array: array[:, :, :tokens, :]))
        return KVSpan(tokens, view)

    def quantized(self, bits: int) -> KVSpan:
        """The same in ``bits`` bits where the head dimension allows it; checkpoints stay."""
        fewer = self._each(lambda part: quantized(part, bits))
        span = KVSpan(self.tokens, fewer, self.checkpoint)
        # Now, or it would be done again for every cut.
        span.evaluate()
        return span

    def evaluate(self) -> None:
        """Copy now, so that what the span was cut from can be freed."""
        mx.eval(
            [arrays_of(part) for layer in self.layers for part in layer],
            self.checkpoint.present() if self.checkpoint else [],
        )

    def export(self) -> Body:
        """The same numbers as NumPy arrays, readable from any thread.

        bfloat16, which NumPy lacks, travels as its bits.
        """
        self.evaluate()
        arrays: dict[str, mx.array] = {}
        for i, layer in enumerate(self.layers):
            for name, part in zip(("keys", "values"), layer, strict=True):
                for j, array in enumerate(arrays_of(part)):
                    arrays[f"{i}.{name}.{j}"] = array
        states = self.checkpoint.parts if self.checkpoint else ()
        for i, state in enumerate(states):
            for j, kept in enumerate(state.arrays):
                if kept is not None:
                    arrays[f"state.{i}.{j}"] = kept
        description = {
            "tokens": self.tokens,
            "layers": [[_bits(part) for part in layer] for layer in self.layers],
            "bfloat16": [name for name, array in arrays.items() if array.dtype == mx.bfloat16],
            "states": [[state.kind, len(state.arrays), state.numbers] for state in states],
        }
        return Body(
            {name: _to_numpy(array) for name, array in arrays.items()}, json.dumps(description)
        )

    def _each(self, change: Callable[[KVPart], KVPart]) -> list[LayerKV]:
        return [(change(keys), change(values)) for keys, values in self.layers]


def span_from_body(body: Body) -> KVSpan:
    """The inverse of ``export``."""
    description = json.loads(body.description)
    arrays = {name: mx.array(array) for name, array in body.arrays.items()}
    for name in description["bfloat16"]:
        arrays[name] = arrays[name].view(mx.bfloat16)

    def part(name: str, bits: int | None) -> KVPart:
        count = 1 if bits is None else 3
        return part_of([arrays[f"{name}.{j}"] for j in range(count)], bits)

    layers = [
        (part(f"{i}.keys", keys), part(f"{i}.values", values))
        for i, (keys, values) in enumerate(description["layers"])
    ]
    states = [
        PartState(kind, tuple(arrays.get(f"state.{i}.{j}") for j in range(count)), tuple(numbers))
        for i, (kind, count, numbers) in enumerate(description["states"])
    ]
    return KVSpan(description["tokens"], layers, Checkpoint(tuple(states)) if states else None)


def cache_from_spans(layout: Layout, spans: Sequence[KVSpan], room: int) -> list[Any]:
    """A model's cache holding the spans in order, with capacity for ``room`` more tokens.

    The last span has a checkpoint where the layout asks for one. One concatenation
    does it all: growing the cache afterwards would copy the prompt a second time.
    """
    held = sum(span.tokens for span in spans)
    spare = -(-(held + room) // _ROOM_STEP) * _ROOM_STEP - held
    checkpoint = spans[-1].checkpoint
    stretches = zip(*(span.layers for span in spans), strict=True)
    return layout.assembled(
        (_joined_layer(layer, held, spare) for layer in stretches),
        map(restore, checkpoint.parts if checkpoint else ()),
    )


def span_of_cache(layout: Layout, cache: Sequence[Any], start: int, stop: int) -> KVSpan:
    """Tokens ``start`` to ``stop`` of one sequence's cache, which is at ``stop`` now.

    A view: to be cut from at once, before the sequence goes on.
    """
    layers = [
        (part.keys[:, :, start:stop, :], part.values[:, :, start:stop, :])
        for part in layout.cuttable(cache)
    ]
    checkpoint = capture(layout.uncuttable(cache)) if layout.has_states else None
    return KVSpan(stop - start, layers, checkpoint)


def span_of_row(layout: Layout, cache: Sequence[Any], row: int, start: int, stop: int) -> KVSpan:
    """The same of one row of a batch's cache, which is at ``stop`` now."""
    layers: list[LayerKV] = []
    for part in layout.cuttable(cache):
        begin = start + int(part.left_padding[row].item())
        end = begin + stop - start
        keys, values = (array[row : row + 1] for array in (part.keys, part.values))
        layers.append((keys[:, :, begin:end, :], values[:, :, begin:end, :]))
    others = [part.extract(row) for part in layout.uncuttable(cache)]
    return KVSpan(stop - start, layers, capture(others) if others else None)


def _joined_layer(stretches: Sequence[LayerKV], held: int, spare: int) -> KVCache:
    cache = KVCache()
    cache.keys = _joined([keys for keys, _ in stretches], spare)
    cache.values = _joined([values for _, values in stretches], spare)
    cache.offset = held
    return cache


def _joined(parts: list[KVPart], spare: int) -> mx.array:
    stretches = [dense(part) for part in parts]
    batch, heads, _, dimension = stretches[0].shape
    empty = mx.zeros((batch, heads, spare, dimension), stretches[0].dtype)
    return mx.concatenate([*stretches, empty], axis=2)


def _own(array: mx.array, start: int, stop: int) -> mx.array:
    """A copy of the slice. A view would keep the whole of its source alive."""
    part = array[:, :, start:stop, :]
    # With one head the slice is contiguous already, and mx.contiguous would
    # return the view.
    return copied(part) if array.shape[1] == 1 else mx.contiguous(part)


def _bits(part: KVPart) -> int | None:
    return None if isinstance(part, mx.array) else part.bits


def _to_numpy(array: mx.array) -> np.ndarray:
    return np.array(array.view(mx.uint16) if array.dtype == mx.bfloat16 else array, copy=False)
