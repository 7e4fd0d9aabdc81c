"""What is learnt from, as tokens, and the batches it comes in.

The order of batches depends on seed and epoch alone: a run that goes on from a checkpoint
needs to know no more than how far it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from apps.training.trainer.objectives import Inputs

_PAD_TO = 32
"""Batches are as wide as a multiple of this, and one: few widths, few compilations."""


@dataclass(frozen=True, eq=False)
class Row:
    tokens: np.ndarray
    """Token ids, int32, cut at the length limit."""
    offset: int
    """Index of the first token to learn; those before it are only seen."""
    index: int
    """Line in the file, from 0."""

    @property
    def learnt(self) -> int:
        """Tokens to learn; the first of a row is never predicted."""
        return len(self.tokens) - max(self.offset, 1)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two answers to one prompt."""

    chosen: Row
    rejected: Row
    index: int
    """Line in the file, from 0."""
    reference: tuple[float, float] = (0.0, 0.0)
    """Log-probabilities of both answers by the model as it was before the run."""


Item = Row | Pair


@dataclass(frozen=True, eq=False)
class Batch:
    inputs: Inputs
    items: tuple[Item, ...]


class TokenRows:
    """One split of the data: rows, or pairs of them."""

    def __init__(self, items: Sequence[Item], *, truncated: int = 0, dropped: int = 0) -> None:
        # Rows of like lengths share a batch, so that little of it is padding.
        self.items = sorted(items, key=_length)
        self.truncated = truncated
        self.dropped = dropped

    def __len__(self) -> int:
        return len(self.items)

    @property
    def tokens(self) -> int:
        return sum(len(row.tokens) for item in self.items for row in rows_of(item))

    def batches(self, batch_size: int) -> list[tuple[Item, ...]]:
        """Every item once, the shortest first; the last batch may have fewer."""
        starts = range(0, len(self.items), batch_size)
        return [tuple(self.items[start : start + batch_size]) for start in starts]


class Splits(NamedTuple):
    """A run's data; a split may be empty."""

    train: TokenRows
    valid: TokenRows
    test: TokenRows


def rows_of(item: Item) -> tuple[Row, ...]:
    """The row itself, or both of a pair."""
    return (item,) if isinstance(item, Row) else (item.chosen, item.rejected)


def _length(item: Item) -> int:
    """Tokens of its longest row."""
    return max(len(row.tokens) for row in rows_of(item))


class Course:
    """The endless order of training batches, from a given place on."""

    def __init__(self, rows: TokenRows, batch_size: int, seed: int) -> None:
        self._batches = rows.batches(batch_size)
        self._seed = seed

    def used(self, steps: int) -> list[tuple[Item, ...]]:
        """The batches that the first ``steps`` steps take, each once."""
        return list(islice(self.from_step(0), min(steps, len(self._batches))))

    def from_step(self, step: int) -> Iterator[tuple[Item, ...]]:
        """The batches behind the first ``step`` ones; every epoch in an order of its own."""
        epoch, at = divmod(step, len(self._batches))
        while True:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._batches))
            for i in order[at:]:
                yield self._batches[i]
            epoch, at = epoch + 1, 0


def spread(batches: list[tuple[Item, ...]], count: int) -> list[tuple[Item, ...]]:
    """``count`` of the batches, evenly spread over them; -1 for all."""
    if count < 0 or count >= len(batches):
        return batches
    return [batches[i * len(batches) // count] for i in range(count)]


def as_batch(
    items: tuple[Item, ...], max_seq_length: int, *, rank: int = 0, ranks: int = 1
) -> Batch:
    """Items as arrays, as wide as the longest row needs; of pairs the chosen rows come first.

    With several ranks, the share of one of them.
    """
    # A rank without a share computes something that weighs nothing.
    share = items[rank::ranks] or items[:1]
    rows = [row for part in zip(*map(rows_of, share), strict=True) for row in part]
    longest = max(len(row.tokens) for row in rows)
    width = min(1 + _PAD_TO * -(-(longest - 1) // _PAD_TO), max_seq_length)
    tokens = np.zeros((len(rows), width), np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row.tokens)] = row.tokens
    spans = np.array([(row.offset, len(row.tokens)) for row in rows], np.int32)
    if rank >= len(items):
        spans[:] = 0
    references = [item.reference if isinstance(item, Pair) else (0.0,) for item in share]
    inputs = Inputs(
        mx.array(tokens),
        mx.array(spans),
        mx.array(np.array(references, np.float32).T.reshape(-1)),
        # Gradients are averaged over the ranks: each counts for its part of the whole batch.
        mx.array(max(_weight(items), 1) / ranks),
    )
    return Batch(inputs, share)


def _weight(items: tuple[Item, ...]) -> int:
    """What their losses are divided by: tokens to learn, or pairs."""
    return sum(item.learnt if isinstance(item, Row) else 1 for item in items)
