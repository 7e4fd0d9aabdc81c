"""Which rows of the next forward pass use which adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx

from apps.inference.engine.adapters.factors import Columns

_KEEP_JOINED = 32
"""Changes of the rows for which an adapter stays joined after a mixed batch last used it.

Prefill and decode take turns with different rows; joining anew at every turn would
copy the factors at every step."""


class Selection:
    """Shared by the layers of one bank, which read it while a forward pass is built."""

    def __init__(self) -> None:
        self.rows: tuple[str | None, ...] = ()
        """Each row's adapter, by digest; empty where no row uses one."""
        self.mixed = False
        """Whether rows differ."""
        self.joined: tuple[str, ...] = ()
        """The adapters that layers hold side by side for mixed rows; number n is in slot n + 1."""
        self._used_at: dict[str, int] = {}
        self._changes = 0
        self._slots: mx.array | None = None
        self._gates: dict[Columns, mx.array] = {}

    @property
    def only(self) -> str | None:
        """The adapter of all rows, where they do not differ."""
        return self.rows[0] if self.rows else None

    def choose(self, rows: tuple[str | None, ...]) -> None:
        self.rows = rows
        self.mixed = len(set(rows)) > 1
        self._slots = None
        self._gates.clear()
        self._changes += 1
        if self.mixed:
            self._used_at.update((one, self._changes) for one in rows if one is not None)
        self._join()

    def forget(self, adapter: str) -> None:
        """To be called between forward passes, with no row chosen that uses it."""
        self._used_at.pop(adapter, None)
        self._join()

    @contextmanager
    def narrowed(self, adapter: str | None) -> Iterator[None]:
        """For a while, all rows use ``adapter``."""
        rows, mixed = self.rows, self.mixed
        self.rows, self.mixed = (adapter,), False
        try:
            yield
        finally:
            self.rows, self.mixed = rows, mixed

    def own(self, z: mx.array, columns: Columns) -> mx.array:
        """``z`` of mixed rows, (rows, ..., columns), with what is not a row's own set to zero.

        Chosen rather than multiplied: zero times an overflow would be no zero.
        """
        if columns not in self._gates:
            owners = mx.array([slot for slot, count in columns for _ in range(count)])
            self._gates[columns] = self.slots[:, None] == owners[None, :]
        return mx.where(along_rows(self._gates[columns], z), z, mx.zeros((), z.dtype))

    @property
    def slots(self) -> mx.array:
        """Each row's slot, (rows,); 0 for no adapter."""
        if self._slots is None:
            slot = {adapter: number for number, adapter in enumerate(self.joined, 1)}
            self._slots = mx.array([slot[row] if row else 0 for row in self.rows])
        return self._slots

    def _join(self) -> None:
        """Settle who is joined; the order only changes where someone comes or goes."""
        oldest = self._changes - _KEEP_JOINED
        self._used_at = {one: at for one, at in self._used_at.items() if at > oldest}
        if set(self.joined) != self._used_at.keys():
            self.joined = tuple(self._used_at)


def along_rows(values: mx.array, x: mx.array) -> mx.array:
    """``values``, (rows, n), shaped to meet ``x``, (rows, ..., n) or (rows · tokens, ..., n).

    Some models flatten rows and tokens into one axis, rows first.
    """
    rows, n = values.shape
    if x.shape[0] != rows:
        values = mx.repeat(values, x.shape[0] // rows, axis=0)
    return values.reshape(x.shape[0], *[1] * (x.ndim - 2), n)
