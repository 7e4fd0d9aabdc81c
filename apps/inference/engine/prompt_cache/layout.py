"""What the layers of a model's cache keep, and which of that can be cut.

mlx-lm gives each layer a cache of its own. Some models nest several in one
(``CacheList``: attention beside a recurrent state, or beside an indexer's keys);
those are looked at as the parts they consist of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlx_lm.models.cache import ArraysCache, CacheList, KVCache, RotatingKVCache

PartKind = Literal["kv", "window", "state"]


@dataclass(frozen=True)
class Layout:
    """The parts of a cache in order, and how they form layers."""

    kinds: tuple[PartKind, ...]
    nested: tuple[int, ...]
    """For each layer how many parts its CacheList has; 0 where it is a part itself."""

    @property
    def has_states(self) -> bool:
        """Whether some parts can't be cut, so that reuse ends at checkpoints only."""
        return any(kind != "kv" for kind in self.kinds)

    def cuttable(self, cache: Sequence[Any]) -> list[Any]:
        """The parts that keep plain KV."""
        pairs = zip(self.kinds, _parts(cache), strict=True)
        return [part for kind, part in pairs if kind == "kv"]

    def uncuttable(self, cache: Sequence[Any]) -> list[Any]:
        """The parts that keep a window or a state."""
        pairs = zip(self.kinds, _parts(cache), strict=True)
        return [part for kind, part in pairs if kind != "kv"]

    def assembled(self, cuttable: Iterable[Any], uncuttable: Iterable[Any]) -> list[Any]:
        """The inverse of the two: a model's cache, layer by layer."""
        kv, others = iter(cuttable), iter(uncuttable)
        parts = (next(kv) if kind == "kv" else next(others) for kind in self.kinds)
        return [
            CacheList(*(next(parts) for _ in range(count))) if count else next(parts)
            for count in self.nested
        ]


def layout_of(cache: Sequence[Any]) -> Layout | None:
    """The layout of a model's cache; None where some layer keeps what can't be reused yet."""
    kinds = [_kind(part) for part in _parts(cache)]
    known = tuple(kind for kind in kinds if kind is not None)
    nested = tuple(len(layer.caches) if type(layer) is CacheList else 0 for layer in cache)
    return Layout(known, nested) if len(known) == len(kinds) else None


def _parts(cache: Sequence[Any]) -> list[Any]:
    return [
        part for layer in cache for part in (layer.caches if type(layer) is CacheList else (layer,))
    ]


def _kind(part: Any) -> PartKind | None:
    if type(part) is KVCache:
        return "kv"
    if type(part) is RotatingKVCache and part.keep == 0:
        return "window"
    if type(part) is ArraysCache:
        return "state"
    return None
