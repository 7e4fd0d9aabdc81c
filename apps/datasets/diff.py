"""What a version changed of its parent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.datasets.models import DatasetVersion


@dataclass(frozen=True)
class Difference:
    """Rows by what they teach; one that was edited is one removed and one added."""

    added: int
    removed: int
    moved: int
    """Rows that are in both, in another split."""


def difference(version: DatasetVersion) -> Difference | None:
    """None where there is nothing to compare: no parent, or one of columns."""
    parent = version.parent
    if parent is None or parent.is_mapped != version.is_mapped:
        return None
    before, after = _counts(parent), _counts(version)
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


def _counts(version: DatasetVersion) -> tuple[np.ndarray, np.ndarray]:
    """Digests and splits of all rows."""
    index = version.files.index()
    return index.get_column("digest").to_numpy(), index.get_column("split").to_numpy()


def _spread(all_digests: np.ndarray, digests: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """How often each digest is in each split; shape (digests, 3)."""
    places = np.searchsorted(all_digests, digests) * 3 + splits
    return np.bincount(places, minlength=3 * len(all_digests)).reshape(-1, 3)
