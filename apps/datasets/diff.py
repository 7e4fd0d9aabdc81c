"""What a version changed of its parent, or of any other: how much, and which rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.diff import RowChanges, row_changes
from apps.datasets.formats.store.reading import RowFiles, StoredRow
from apps.datasets.models import DatasetVersion

Show = Literal["changed", "added", "removed"]
SHOWS: tuple[Show, ...] = get_args(Show)

_FACT = "difference"


@dataclass(frozen=True)
class Difference:
    """Rows by what they teach; one that was edited is one removed and one added."""

    added: int
    removed: int
    moved: int
    """Rows that are in both, in another split."""


@dataclass(frozen=True)
class RowPair:
    """A row of the older version and of the newer one; None where it is not there."""

    before: StoredRow | None
    after: StoredRow | None


def difference(version: DatasetVersion) -> Difference | None:
    """What it changed of its parent; None where there is none, or one of columns."""
    counted = version.facts.get(_FACT)
    return Difference(**counted) if counted else None


def difference_fact(before: RowFiles, after: RowFiles) -> dict[str, Any]:
    """What ``difference`` reads. Counted once, when a version lands: that takes a second."""
    return {_FACT: asdict(_compared(before, after))}


def compared_with(version: DatasetVersion, number: int | None) -> DatasetVersion:
    """The version to compare one with, by default its parent.

    Raises DatasetNotFound, or BadDataOrder where rows and columns would be compared.
    """
    other = version.parent if number is None else version.dataset.version(number)
    if other is None:
        raise BadDataOrder(f"{version} was made of no other. Choose a version to compare it with.")
    if other.is_mapped != version.is_mapped:
        raise BadDataOrder(
            f"{version} and version {other.number} can't be compared: one has rows, the other the "
            "columns that were imported. Choose another version."
        )
    return other


def changes_between(before: DatasetVersion, after: DatasetVersion) -> RowChanges:
    """The rows that differ."""
    return _changes(before.folder, after.folder)


def pairs_of(
    before: DatasetVersion, after: DatasetVersion, show: Show, *, offset: int, limit: int
) -> list[RowPair]:
    """Some of the rows that differ, from the ``offset``-th on."""
    old, new = before.files, after.files
    numbers = getattr(changes_between(before, after), show)[offset : offset + limit].tolist()
    match show:
        case "changed":
            return [RowPair(old.at(was), new.at(is_)) for was, is_ in numbers]
        case "added":
            return [RowPair(None, new.at(number)) for number in numbers]
        case "removed":
            return [RowPair(old.at(number), None) for number in numbers]


@lru_cache(maxsize=4)
def _changes(before: Path, after: Path) -> RowChanges:
    """Rows of versions never change, and people turn pages: of a million rows it takes a second."""
    return row_changes(RowFiles(before), RowFiles(after))


def _compared(one: RowFiles, other: RowFiles) -> Difference:
    before, after = _counts(one), _counts(other)
    both = np.unique(np.r_[before[0], after[0]])
    change = _spread(both, *after) - _spread(both, *before)
    rows_change = change.sum(axis=1)
    kept = rows_change == 0
    moved = int(np.abs(change[kept]).sum() // 2)
    return Difference(
        added=int(rows_change[rows_change > 0].sum()),
        removed=int(-rows_change[rows_change < 0].sum()),
        moved=moved,
    )


def _counts(files: RowFiles) -> tuple[np.ndarray, np.ndarray]:
    """Digests and splits of all rows."""
    index = files.scan().select("digest", "split").collect()
    return index.get_column("digest").to_numpy(), index.get_column("split").to_numpy()


def _spread(all_digests: np.ndarray, digests: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """How often each digest is in each split; shape (digests, 3)."""
    places = np.searchsorted(all_digests, digests) * 3 + splits
    return np.bincount(places, minlength=3 * len(all_digests)).reshape(-1, 3)
