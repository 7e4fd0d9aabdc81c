"""The files that a dataset's first rows are in: known only as they come.

How many rows a file holds stands nowhere before it is here. So the files of a split are
fetched in their order, and each one's rows are counted before the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from apps.datasets.formats.first_rows import FirstRows, count_rows
from apps.discovery.snapshot import RemoteFile, Snapshot


class Enough:
    """Tells of each file whether it is needed, once those before it are here."""

    def __init__(self, first: FirstRows, folder: Path, expect: Callable[[int], None]) -> None:
        """``expect`` learns how many bytes are needed in all, as far as is known."""
        self._first = first
        self._folder = folder
        self._expect = expect
        self._rows: Counter[str] = Counter()
        self._uncounted: dict[str, str] = {}
        self._nbytes = 0

    def needs(self, file: RemoteFile) -> bool:
        """Whether rows of its split are still missing. Raises FormatError."""
        split = self._first.parts.get(file.name, "")
        if (before := self._uncounted.pop(split, None)) is not None:
            missing = self._first.rows - self._rows[split]
            self._rows[split] += count_rows(self._folder / before, missing)
        if self._rows[split] >= self._first.rows:
            return False
        self._uncounted[split] = file.name
        self._nbytes += file.size
        self._expect(self._nbytes)
        return True


def certain(snapshot: Snapshot, first: FirstRows | None) -> Snapshot:
    """What is fetched in any case: of first rows, the first file of each split."""
    if first is None:
        return snapshot
    firsts: dict[str, RemoteFile] = {}
    for file in snapshot.files:
        firsts.setdefault(first.parts.get(file.name, ""), file)
    return replace(snapshot, files=tuple(firsts.values()))
