"""Rows that decode together: one forward pass gives each its next token.

Owns their cache, and the tokens that the next pass reads. Knows neither model nor
sampler: the runner does the passes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Sequence as Rows
from typing import Any

import mlx.core as mx

from apps.inference.engine.prompt_cache.layout import Layout
from apps.inference.engine.prompt_cache.spans import KVSpan, span_of_cache, span_of_row
from apps.inference.engine.sequence import Sequence


class DecodeBatch:
    """At least one row. Shorter rows are padded to the longest, with KV for every place."""

    def __init__(
        self, rows: list[Sequence], lengths: list[int], cache: list[Any], first: mx.array
    ) -> None:
        """``cache``: a single row's own, or of mlx-lm's batch kind with these rows.

        ``lengths``: the tokens it holds of each. ``first``: their first tokens, which
        were told already, shape (rows,).
        """
        self.rows = rows
        self.lengths = lengths
        self.cache = cache
        self.next = first
        """The token of each row that the next pass reads; read it with ``tokens_of``."""
        self.told = {row.id for row in rows}
        """Rows whose token in ``next`` is known to their callers."""
        self._merged = len(rows) > 1
        """Whether the cache is of the batch kind. A row alone keeps the cache it was
        prefilled in: nothing is copied, and its attention needs no mask."""

    @property
    def is_single(self) -> bool:
        return not self._merged

    @property
    def nbytes(self) -> int:
        return sum(int(layer.nbytes) for layer in self.cache)

    def padding_with(self, other: DecodeBatch) -> int:
        """Places without a token, were ``other``'s rows among these."""
        return padding((*self.lengths, *other.lengths))

    def join(self, other: DecodeBatch) -> None:
        """Take over the rows of ``other``, which is not to be used any more."""
        for layer, more in zip(self._batch_cache(), other._batch_cache(), strict=True):
            layer.extend(more)
        self.rows.extend(other.rows)
        self.lengths.extend(other.lengths)
        self.told |= other.told
        self.next = mx.concatenate([self.next, other.next])

    def advance(self, tokens: mx.array, by: int = 1) -> None:
        """Note that a pass has computed ``by`` more tokens of each row, and chosen the next."""
        self.next = tokens
        self.lengths = [length + by for length in self.lengths]
        for row in self.rows:
            row.computed += by

    def leave(self, leaving: Collection[int]) -> bool:
        """Drop the rows of these sequences, by id; whether any row is left."""
        keep = [i for i, row in enumerate(self.rows) if row.id not in leaving]
        if keep and len(keep) < len(self.rows):
            index = mx.array(keep)
            for layer in self.cache:
                layer.filter(index)
            self.next = self.next[index]
            self.lengths = [self.lengths[i] for i in keep]
        self.rows = [self.rows[i] for i in keep]
        return bool(keep)

    def settle(self) -> None:
        """Give the last row of a batch a cache of its own again."""
        if self._merged and len(self.rows) == 1:
            self.cache = [layer.extract(0) for layer in self.cache]
            self._merged = False

    def offsets(self) -> list[mx.array]:
        """Of the layers that keep one for each row."""
        offsets = (getattr(layer, "offset", None) for layer in self.cache)
        return [offset for offset in offsets if isinstance(offset, mx.array)]

    def span(self, layout: Layout, sequence: Sequence, start: int, stop: int) -> KVSpan:
        """Tokens ``start`` to ``stop`` of a row that is at ``stop`` now: a view."""
        if not self._merged:
            return span_of_cache(layout, self.cache, start, stop)
        return span_of_row(layout, self.cache, self.rows.index(sequence), start, stop)

    def _batch_cache(self) -> list[Any]:
        if not self._merged:
            self.cache = [type(layer).merge([layer]) for layer in self.cache]
            self._merged = True
        return self.cache


def padding(lengths: Rows[int]) -> int:
    """Places without a token in a batch of rows of these lengths."""
    return len(lengths) * max(lengths) - sum(lengths)


def merged(caches: Iterable[list[Any]]) -> list[Any]:
    """The caches of several sequences as one of mlx-lm's batch kind."""
    return [type(layers[0]).merge(list(layers)) for layers in zip(*caches, strict=True)]


def tokens_of(array: mx.array) -> tuple[int, ...]:
    """Token ids, computed now where they are not yet."""
    return tuple(array.tolist())  # type: ignore[arg-type]
