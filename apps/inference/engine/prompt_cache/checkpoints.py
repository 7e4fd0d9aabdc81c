"""The state of layers whose cache can't be cut: sliding windows and recurrent states.

A KV span serves any prompt that begins with a part of it. A window that has
rotated, or a recurrent state, only serves a prompt that begins with exactly the
tokens it has seen. So it is kept whole, as a checkpoint at a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache, RotatingKVCache

from apps.inference.engine.prompt_cache.layout import PartKind


@dataclass(frozen=True)
class PartState:
    """One part: a window's keys, values, offset and size, or a recurrent layer's arrays."""

    kind: PartKind
    arrays: tuple[mx.array | None, ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The state of a cache's uncuttable parts, in their order."""

    parts: tuple[PartState, ...]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.present())

    def present(self) -> list[mx.array]:
        return [array for part in self.parts for array in part.arrays if array is not None]


def capture(parts: Sequence[Any]) -> Checkpoint:
    """The present state of a sequence's uncuttable parts, copied."""
    return Checkpoint(tuple(_captured(part) for part in parts))


def restore(state: PartState) -> Any:
    """A part of a cache as it was; it may be written to, the checkpoint stays as it is."""
    copies = [None if array is None else copied(array) for array in state.arrays]
    if state.kind == "window":
        window = RotatingKVCache(max_size=state.numbers[1])
        window.keys, window.values = copies
        window.offset = state.numbers[0]
        window._idx = window.keys.shape[2]
        return window
    arrays = ArraysCache(len(copies))
    arrays.cache = copies
    return arrays


def _captured(part: Any) -> PartState:
    if type(part) is RotatingKVCache:
        # In order of time, and no longer than the window: what mlx-lm's own
        # extraction of a batch's row gives.
        keys, values = (
            copied(part._temporal_order(array)[..., -part.max_size :, :])
            for array in (part.keys, part.values)
        )
        return PartState("window", (keys, values), (part.offset, part.max_size))
    arrays = tuple(None if array is None else copied(array) for array in part.cache)
    return PartState("state", arrays)


def copied(array: mx.array) -> mx.array:
    """A new array with memory of its own.

    Caches write into theirs in place, and a view would keep the whole of its source alive.
    """
    return mx.stop_gradient(array) + mx.zeros((), array.dtype)
