"""The adapters of one loaded model.

While a row uses an adapter, the layers that adapters change are replaced by ones
that add to them; while none does, the model is as it was loaded and costs what it
did. Adapters are known by digest, so one that is rewritten in place is another.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from apps.inference.engine.adapters.reading import read_factors, require_room
from apps.inference.engine.adapters.selection import Selection
from apps.inference.engine.adapters.takeover import Takeover
from apps.inference.engine.protocol import AdapterSpec

logger = logging.getLogger(__name__)

MAX_ADAPTERS = 32
"""Adapters kept per model; beyond that, the least recently used ones that are idle go."""


class AdapterBank:
    def __init__(self, model: Any) -> None:
        """``model``: an mlx-lm model, whose layers the bank replaces for a while."""
        self._selection = Selection()
        self._layers = Takeover(model, self._selection)
        self._dtype = _computing_dtype(model)
        self._names: dict[str, str] = {}
        """Names by digest, the least recently used first."""

    def __contains__(self, digest: str) -> bool:
        return digest in self._names

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._names.values()))

    @property
    def nbytes(self) -> int:
        """Memory of all adapters, and of what is held side by side for mixed rows."""
        return self._layers.nbytes

    def ensure(
        self, spec: AdapterSpec, *, in_use: Collection[str | None] = (), room: int | None = None
    ) -> None:
        """Make the adapter ready, reading it now if need be.

        ``in_use``: digests that rows or waiting requests need; they are not dropped.
        ``room``: bytes that it may take. Raises AdapterFailed or InsufficientMemory; then
        the bank is as it was.
        """
        if spec.digest in self._names:
            self._touch(spec.digest)
            return
        if room is not None:
            require_room(spec, room)
        factors = read_factors(spec, self._layers.layer, self._dtype)
        self.use([])
        self._layers.add(spec.digest, factors)
        self._names[spec.digest] = spec.name
        logger.info("adapter %s is ready", spec.name)
        self._drop_idle({spec.digest, *in_use})

    def use(self, rows: Sequence[str | None]) -> None:
        """Name each row's adapter, by digest, for the forward passes built from now on."""
        chosen = tuple(rows) if any(rows) else ()
        if chosen == self._selection.rows:
            return
        for digest in set(chosen):
            if digest is not None:
                self._touch(digest)
        was_joined = bool(self._selection.joined)
        self._selection.choose(chosen)
        if was_joined and not self._selection.joined:
            self._layers.unjoin()
        if chosen:
            self._layers.stand_in()
        else:
            self._layers.stand_back()

    def _touch(self, digest: str) -> None:
        self._names[digest] = self._names.pop(digest)

    def _drop_idle(self, needed: Collection[str | None]) -> None:
        idle = [digest for digest in self._names if digest not in needed]
        for digest in idle[: max(0, len(self._names) - MAX_ADAPTERS)]:
            name = self._names.pop(digest)
            self._selection.forget(digest)
            self._layers.remove(digest)
            logger.info("dropped adapter %s", name)


def _computing_dtype(model: Any) -> mx.Dtype:
    """The floating type that most of the model's parameters are of."""
    sizes: Counter[mx.Dtype] = Counter()
    for _, array in tree_flatten(model.parameters()):
        if mx.issubdtype(array.dtype, mx.floating):
            sizes[array.dtype] += array.size
    return sizes.most_common(1)[0][0] if sizes else mx.float32
