"""Rows of a version's folder by number, by what is wrong with them, by words in them.

A row's number, from 0, counts through train, valid and test. Search reads the files from
where it is told for a fraction of a second and says where it stopped, so that an answer
comes at once however large the version is.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from apps.datasets.formats.checks import Problem
from apps.datasets.formats.errors import Damaged
from apps.datasets.formats.personal import Personal
from apps.datasets.formats.store.beside import NEAR, columns_beside, paths_beside
from apps.datasets.formats.store.index import SPLITS

INDEX = "index.parquet"

SEARCH_SECONDS = 0.12
"""How long one search reads before it says where it stopped."""

_BLOCK_BYTES = 2 * 1024 * 1024
_NO_PROBLEM = Problem(0)
_NOTHING_PERSONAL = Personal(0)
_NEAR_BIT = int(Problem.NEAR_DUPLICATE)

SORTS = {"row": "number", "chars": "chars", "turns": "turns"}
"""What rows can be sorted by, and the column that does."""


@dataclass(frozen=True)
class Wanted:
    """Which rows somebody wants to see."""

    words: str = ""
    problem: Problem = _NO_PROBLEM
    """Rows with any of these."""
    personal: Personal = _NOTHING_PERSONAL
    split: str = ""
    language: str = ""
    """Of the answer; none of the rows where nobody looked for languages."""
    longer_than: int = 0
    """Tokens; 0 for any length. None of the rows where nobody counted them."""
    sort: str = "row"
    descending: bool = False


@dataclass(frozen=True)
class StoredRow:
    """A row and what is known of it."""

    number: int
    split: str
    value: dict[str, Any]
    chars: int
    turns: int
    problems: Problem
    personal: Personal


@dataclass(frozen=True)
class Rows:
    """A page of rows."""

    rows: list[StoredRow]
    total: int | None
    """How many there are in all; None where a search has not read on to the end."""
    resume: int | None = None
    """The row that a search goes on from; None where it came to the end."""


class RowFiles:
    """The rows of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return self.index().height

    def scan(self) -> pl.LazyFrame:
        """The index with row numbers, and near duplicates flagged once they are known."""
        frame = pl.scan_parquet(self.folder / INDEX).with_row_index("number")
        near = self.folder / NEAR
        if not near.exists():
            return frame
        flagged = pl.scan_parquet(near).select(pl.col("number"), near=pl.lit(_NEAR_BIT, pl.UInt32))
        joined = frame.join(flagged, on="number", how="left", maintain_order="left")
        return joined.with_columns(pl.col("problems") | pl.col("near").fill_null(0)).drop("near")

    def index(self) -> pl.DataFrame:
        """All of the index, with what was found out later. Raises Damaged."""
        return self._index

    @cached_property
    def _index(self) -> pl.DataFrame:
        return _index_of(self.folder, _state_of(self.folder))

    @contextmanager
    def lines(self) -> Iterator[Callable[[int], bytes]]:
        """A function from a row's number to its line, without the end."""
        index = self.index()
        splits, offsets, sizes = (
            index.get_column(name).to_numpy() for name in ("split", "offset", "nbytes")
        )
        with ExitStack() as stack:
            maps = [stack.enter_context(_mapped(self._file(split))) for split in range(len(SPLITS))]

            def line_of(number: int) -> bytes:
                start = int(offsets[number])
                line: bytes = maps[splits[number]][start : start + int(sizes[number])]
                return line

            yield line_of

    def values(self) -> Iterator[dict[str, Any]]:
        """Every row, in its order."""
        with self.lines() as line_of:
            for number in range(len(self)):
                yield orjson.loads(line_of(number))

    def at(self, number: int) -> StoredRow:
        """One row. Raises IndexError."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self._read(np.array([number]))[0]

    def page(self, wanted: Wanted, *, offset: int, limit: int) -> Rows:
        """Rows from the ``offset``-th wanted one on; of a search, from that row on."""
        if wanted.words:
            return self._search(wanted, start=offset, limit=limit)
        frame = self._filtered(wanted)
        found = frame.select("number", key=SORTS.get(wanted.sort, "number")).collect()
        numbers = found.get_column("number").to_numpy()
        if wanted.sort != "row" or wanted.descending:
            # Equal ones stay in the order of their numbers: of a million rows much faster than
            # a frame sorts by two columns.
            keys = found.get_column("key").to_numpy().astype(np.int64)
            numbers = numbers[np.argsort(-keys if wanted.descending else keys, kind="stable")]
        return Rows(self._read(numbers[offset : offset + limit]), len(numbers))

    def numbers(self, wanted: Wanted) -> np.ndarray:
        """The numbers of all rows that its filters take; words are not looked at."""
        return self._filtered(wanted).select("number").collect().to_series().to_numpy()

    def _filtered(self, wanted: Wanted) -> pl.LazyFrame:
        frame = self._index.lazy()
        if wanted.problem:
            frame = frame.filter(pl.col("problems") & int(wanted.problem) != 0)
        if wanted.personal:
            frame = frame.filter(pl.col("personal") & int(wanted.personal) != 0)
        if wanted.split in SPLITS:
            frame = frame.filter(pl.col("split") == SPLITS.index(wanted.split))
        if wanted.language:
            frame = frame.filter(self._known("language") == wanted.language)
        if wanted.longer_than:
            frame = frame.filter(self._known("tokens") > wanted.longer_than)
        return frame

    def _known(self, column: str) -> pl.Expr:
        """A column that was found out later; null where it was not."""
        return pl.col(column) if column in self._index.columns else pl.lit(None)

    def languages(self) -> dict[str, int]:
        """Rows by language, the most frequent first; none where nobody looked."""
        if "language" not in self._index.columns:
            return {}
        counts = self._index.get_column("language").value_counts(sort=True)
        return dict(counts.rows())

    def _search(self, wanted: Wanted, *, start: int, limit: int) -> Rows:
        allowed = np.zeros(len(self), bool)
        allowed[self.numbers(wanted)] = True
        needle = orjson.dumps(wanted.words)[1:-1].lower()
        deadline = time.monotonic() + SEARCH_SECONDS
        found: list[int] = []
        resume = start
        for last, hits in self._blocks(needle, start):
            for hit in hits:
                if allowed[hit]:
                    if len(found) == limit:
                        return Rows(self._read(np.array(found)), None, hit)
                    found.append(hit)
            resume = last
            if time.monotonic() > deadline and last < len(self):
                return Rows(self._read(np.array(found, int)), None, resume)
        total = len(found) if start == 0 else None
        return Rows(self._read(np.array(found, int)), total)

    def _blocks(self, needle: bytes, start: int) -> Iterator[tuple[int, Iterator[int]]]:
        """Runs of rows from ``start`` on, a few megabytes each: the row behind, and those with
        the words in them, looked for one by one."""
        index = self.index()
        base = 0
        for split, _name in enumerate(SPLITS):
            end = (pl.col("offset") + pl.col("nbytes") + 1).cast(pl.Int64)
            mine = index.filter(pl.col("split") == split).select(end)
            ends = mine.to_series().to_numpy()
            at = max(start - base, 0)
            with _mapped(self._file(split)) as data:
                while at < len(ends):
                    begin = int(ends[at - 1]) if at else 0
                    after = int(np.searchsorted(ends, begin + _BLOCK_BYTES, "right"))
                    after = max(after, at + 1)
                    block = data[begin : int(ends[after - 1])].lower()
                    yield base + after, _rows_with(block, needle, ends, begin, base)
                    at = after
            base += len(ends)

    def _read(self, numbers: np.ndarray) -> list[StoredRow]:
        facts = self.index()[numbers].to_dicts() if len(numbers) else []
        with self.lines() as line_of:
            return [
                StoredRow(
                    number=fact["number"],
                    split=SPLITS[fact["split"]],
                    value=orjson.loads(line_of(fact["number"])),
                    chars=fact["chars"],
                    turns=fact["turns"],
                    problems=Problem(fact["problems"]),
                    personal=Personal(fact["personal"]),
                )
                for fact in facts
            ]

    def _file(self, split: int) -> Path:
        return self.folder / f"{SPLITS[split]}.jsonl"


@lru_cache(maxsize=4)
def _index_of(folder: Path, state: tuple[int, ...]) -> pl.DataFrame:
    """Pages of one version follow each other; of a million rows it takes 40 MB. Raises Damaged."""
    try:
        return RowFiles(folder).scan().collect().hstack(columns_beside(folder))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise Damaged(f"The index of this version can't be read: {error}.") from error


def _state_of(folder: Path) -> tuple[int, ...]:
    """Changes with the index, and with what is found out later."""
    files = [folder / INDEX, folder / NEAR, *paths_beside(folder)]
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)


def _rows_with(
    block: bytes, needle: bytes, ends: np.ndarray, begin: int, base: int
) -> Iterator[int]:
    """Rows of a block that hold the needle, each once, by the ends of the rows in the file.

    ``begin``: the byte of the file that the block begins at. ``base``: rows of the files before.
    """
    place = block.find(needle)
    while place >= 0:
        row = int(np.searchsorted(ends, begin + place, "right"))
        yield base + row
        place = block.find(needle, int(ends[row]) - begin)


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
    """A file's bytes without reading them; empty where there is no file."""
    if not path.exists() or path.stat().st_size == 0:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
