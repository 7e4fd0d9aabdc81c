"""The state of layers whose cache can't be cut: sliding windows and recurrent states.

A KV span serves any prompt that begins with a part of it. A window that has
rotated, or a recurrent state, only serves a prompt that begins with exactly the
tokens it has seen. So it is kept whole, as a checkpoint at a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache, KVCache, RotatingKVCache

LayerKind = Literal["kv", "window", "state"]
Layout = tuple[LayerKind, ...]
"""What each layer of a model keeps."""


def layout_of(cache: Sequence[Any]) -> Layout | None:
    """The layout of a model's cache; None where some layer keeps what can't be reused yet."""
    kinds = [_kind(layer) for layer in cache]
    return None if None in kinds else tuple(kind for kind in kinds if kind is not None)


def _kind(layer: Any) -> LayerKind | None:
    if type(layer) is KVCache:
        return "kv"
    if type(layer) is RotatingKVCache and layer.keep == 0:
        return "window"
    if type(layer) is ArraysCache:
        return "state"
    return None


@dataclass(frozen=True)
class LayerState:
    """One layer: a window's keys, values, offset and size, or a recurrent layer's arrays."""

    kind: LayerKind
    arrays: tuple[mx.array | None, ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The state of a model's uncuttable layers, in their order."""

    layers: tuple[LayerState, ...]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.present())

    def present(self) -> list[mx.array]:
        return [array for layer in self.layers for array in layer.arrays if array is not None]


def capture(layers: Sequence[Any]) -> Checkpoint:
    """The present state of the uncuttable ones among a sequence's layers, copied."""
    return Checkpoint(tuple(_captured(layer) for layer in layers if _kind(layer) != "kv"))


def restore(state: LayerState) -> Any:
    """A layer's cache as it was; it may be written to, the checkpoint stays as it is."""
    copies = [None if array is None else _copy(array) for array in state.arrays]
    if state.kind == "window":
        window = RotatingKVCache(max_size=state.numbers[1])
        window.keys, window.values = copies
        window.offset = state.numbers[0]
        window._idx = window.keys.shape[2]
        return window
    arrays = ArraysCache(len(copies))
    arrays.cache = copies
    return arrays


def _captured(layer: Any) -> LayerState:
    if type(layer) is RotatingKVCache:
        # In order of time, and no longer than the window: what mlx-lm's own
        # extraction of a batch's row gives.
        keys, values = (
            _copy(layer._temporal_order(part)[..., -layer.max_size :, :])
            for part in (layer.keys, layer.values)
        )
        return LayerState("window", (keys, values), (layer.offset, layer.max_size))
    arrays = tuple(None if array is None else _copy(array) for array in layer.cache)
    return LayerState("state", arrays)


def _copy(array: mx.array) -> mx.array:
    # A new array object with memory of its own: caches write into theirs in
    # place, and a view would keep the whole of its source alive.
    return mx.stop_gradient(array) + mx.zeros((), array.dtype)
