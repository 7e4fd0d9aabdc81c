"""Rows to a folder. It has its whole content or is not there: whoever writes renames it last."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import orjson
import polars as pl

from apps.datasets.formats.store.index import SCHEMA, SPLITS, Facts, with_repeats
from apps.datasets.formats.store.reading import INDEX, RowFiles

_OPTIONS = orjson.OPT_NON_STR_KEYS
_BUFFER = 1024 * 1024
_TELL_EVERY = 2_000
"""Rows between two signs of progress."""


@dataclass(frozen=True)
class Written:
    """What a folder holds."""

    digest: str
    """SHA-256 over the rows of every split, as hexadecimal digits."""
    counts: tuple[int, int, int]
    """Rows to train on, to validate with, to test with."""
    nbytes: int


class RowWriter:
    """Writes rows one by one into a new folder; ``written`` is there after ``close``."""

    def __init__(self, folder: Path, *, mapped: bool = True) -> None:
        self._folder = folder
        self._mapped = mapped
        self._files = _Files(folder, mapped=mapped)
        self._facts = [Facts() for _ in SPLITS]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._files.close()

    def add(self, row: dict[str, Any], split: int = 0) -> None:
        """Write a row. Raises TypeError or ValueError where it is none that JSON has."""
        line = orjson.dumps(row, option=_OPTIONS)
        offset = self._files.write(split, line)
        self._facts[split].add(row, line, offset, mapped=self._mapped)

    def close(self) -> Written:
        """Make all of it safe on the disk."""
        index = pl.concat([facts.frame(split) for split, facts in enumerate(self._facts)])
        return _finished(self._folder, self._files, index)


def write_selection(
    source: RowFiles,
    numbers: np.ndarray,
    splits: np.ndarray,
    folder: Path,
    *,
    mapped: bool = True,
    tell: Callable[[float], None],
) -> Written:
    """A new folder of rows that are there already, in this order and these splits.

    ``numbers`` and ``splits`` are of the same length; ``tell`` learns the fraction that is
    done. Lines are copied as they are and keep what is known of them.
    """
    order = np.argsort(splits, kind="stable")
    numbers, splits = numbers[order], splits[order].astype(np.uint8)
    rows = source.index()[numbers].select(list(SCHEMA))
    files = _Files(folder, mapped=mapped)
    try:
        offsets = np.zeros(len(numbers), np.uint64)
        with source.lines() as line_of:
            for place, (number, split) in enumerate(zip(numbers, splits, strict=True)):
                offsets[place] = files.write(int(split), line_of(int(number)))
                if place % _TELL_EVERY == 0:
                    tell(place / len(numbers))
        index = rows.with_columns(pl.Series("split", splits), pl.Series("offset", offsets))
        return _finished(folder, files, index.select(list(SCHEMA)))
    finally:
        files.close()


class _Files:
    """The files of the splits: made when they get their first row, hashed while written."""

    def __init__(self, folder: Path, *, mapped: bool) -> None:
        self._folder = folder
        self._mapped = mapped
        self._open: dict[int, BinaryIO] = {}
        self._ends = [0] * len(SPLITS)
        self._hashes = [hashlib.sha256() for _ in SPLITS]

    def write(self, split: int, line: bytes) -> int:
        """Append a line; where it begins."""
        file = self._open.get(split)
        if file is None:
            path = self._folder / f"{SPLITS[split]}.jsonl"
            file = self._open[split] = path.open("xb", buffering=_BUFFER)
        start = self._ends[split]
        whole = line + b"\n"
        file.write(whole)
        self._hashes[split].update(whole)
        self._ends[split] = start + len(whole)
        return start

    def sync(self) -> tuple[str, int]:
        """The digest over all splits and their bytes, once they are safe on the disk."""
        for file in self._open.values():
            file.flush()
            os.fsync(file.fileno())
        parts = "".join(
            f"{name} {hashed.hexdigest()}\n"
            for name, hashed in zip(SPLITS, self._hashes, strict=True)
        )
        # The index of the same rows is another before they are mapped.
        if not self._mapped:
            parts += "unmapped\n"
        return hashlib.sha256(parts.encode()).hexdigest(), sum(self._ends)

    def close(self) -> None:
        for file in self._open.values():
            file.close()


def _finished(folder: Path, files: _Files, index: pl.DataFrame) -> Written:
    digest, nbytes = files.sync()
    with (folder / INDEX).open("xb") as file:
        with_repeats(index).write_parquet(file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    train, valid, test = np.bincount(index.get_column("split").to_numpy(), minlength=len(SPLITS))
    return Written(digest, (int(train), int(valid), int(test)), nbytes)
