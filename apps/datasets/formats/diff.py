"""What one version changed of another: which rows, and which words of them.

Rows are compared by what they teach. One that is gone and one that is new, between the same
rows that stayed, are one row that was changed: edits keep the order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from apps.datasets.formats.store.reading import RowFiles

MAX_WORDS = 2_000
"""Of a text that is compared word by word; a longer one is shown as replaced."""

_WORD = re.compile(r"\s+|\w+(?:[@.'\u2019_+-]+\w+)*|[^\w\s]")


@dataclass(frozen=True)
class RowChanges:
    """Row numbers, from 0; ``removed`` and the first of ``changed`` count in the older version."""

    changed: np.ndarray
    """Shape (rows, 2): the number before and the number after."""
    removed: np.ndarray
    added: np.ndarray


@dataclass(frozen=True)
class Piece:
    """A run of a text that stayed, went or came."""

    kind: str
    """"same", "removed" or "added"."""
    text: str


def row_changes(before: RowFiles, after: RowFiles) -> RowChanges:
    """The rows that differ. A row that is there twice counts twice."""
    old, new = (files.index().get_column("digest").to_numpy() for files in (before, after))
    kept_old, kept_new = _kept(old, new), _kept(new, old)
    gone, come = np.flatnonzero(~kept_old), np.flatnonzero(~kept_new)
    # Rows that stayed and stand before each: those with the same number lie in one gap.
    gap_of_gone, gap_of_come = np.cumsum(kept_old)[gone], np.cumsum(kept_new)[come]
    place_of_gone, place_of_come = _places(gap_of_gone), _places(gap_of_come)
    keys_of_gone = gap_of_gone.astype(np.uint64) << np.uint64(32) | place_of_gone
    keys_of_come = gap_of_come.astype(np.uint64) << np.uint64(32) | place_of_come
    _, pairs_gone, pairs_come = np.intersect1d(
        keys_of_gone, keys_of_come, assume_unique=True, return_indices=True
    )
    return RowChanges(
        changed=np.stack([gone[pairs_gone], come[pairs_come]], axis=1),
        removed=np.delete(gone, pairs_gone),
        added=np.delete(come, pairs_come),
    )


def pieces_of(before: str, after: str) -> Iterator[Piece]:
    """A text's words that stayed, went and came, in the order of reading."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) > MAX_WORDS or len(new) > MAX_WORDS:
        yield from _replaced(before, after)
        return
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(old[a:b]))
        else:
            yield from _replaced("".join(old[a:b]), "".join(new[c:d]))


def _replaced(before: str, after: str) -> Iterator[Piece]:
    if before == after:
        yield Piece("same", before)
        return
    if before:
        yield Piece("removed", before)
    if after:
        yield Piece("added", after)


def _kept(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Which of the digests are in the other version too, each as often as it is there."""
    values, counts = np.unique(theirs, return_counts=True)
    if not len(values):
        return np.zeros(len(mine), bool)
    found = np.minimum(np.searchsorted(values, mine), len(values) - 1)
    there = np.where(values[found] == mine, counts[found], 0)
    return _occurrences(mine) < there


def _occurrences(digests: np.ndarray) -> np.ndarray:
    """How often each digest stood before."""
    order = np.argsort(digests, kind="stable")
    result = np.empty(len(digests), np.int64)
    result[order] = _places(digests[order])
    return result


def _places(runs: np.ndarray) -> np.ndarray:
    """The place of each value in its run of equal ones, from 0."""
    if not len(runs):
        return np.empty(0, np.uint64)
    starts = np.flatnonzero(np.r_[True, runs[1:] != runs[:-1]])
    sizes = np.diff(np.r_[starts, len(runs)])
    places: np.ndarray = np.arange(len(runs)) - np.repeat(starts, sizes)
    return places.astype(np.uint64)
