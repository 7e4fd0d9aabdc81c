"""The columns that are kept of every row, so that the rows themselves need not be read."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from apps.datasets.formats.checks import Problem, problems_of, texts_of, turns_of
from apps.datasets.formats.mapping import LEARNT
from apps.datasets.formats.personal import personal_in

SPLITS: Final = ("train", "valid", "test")

SCHEMA = {
    "split": pl.UInt8,  # index in SPLITS
    "offset": pl.UInt64,  # byte of the split's file that the row begins at
    "nbytes": pl.UInt32,  # of its line, without the end
    "digest": pl.UInt64,  # equal for rows that teach the same
    "chars": pl.UInt32,  # of all its texts
    "turns": pl.UInt16,  # messages
    "problems": pl.UInt32,  # checks.Problem
    "personal": pl.UInt8,  # personal.Personal
}

_MAX_U16 = 65_535
_BLOCK = 65_536
_REPEATS = np.uint32(int(Problem.DUPLICATE | Problem.OVERLAP))


class Facts:
    """What is known of the rows of one split, gathered as they are written."""

    def __init__(self) -> None:
        self._blocks: list[pl.DataFrame] = []
        self._open: list[tuple[int, ...]] = []

    def add(self, row: dict[str, Any], line: bytes, offset: int, *, mapped: bool) -> None:
        """Judge a row. One that is not mapped yet has nothing to be judged."""
        texts = texts_of(row) if mapped else []
        self._open.append(
            (
                offset,
                len(line),
                _digest_of(row, line, mapped=mapped),
                sum(map(len, texts)) if mapped else len(line),
                min(turns_of(row), _MAX_U16) if mapped else 0,
                int(problems_of(row)) if mapped else 0,
                int(personal_in(texts)) if mapped else 0,
            )
        )
        if len(self._open) == _BLOCK:
            self._close_block()

    def frame(self, split: int) -> pl.DataFrame:
        """All of it, as SCHEMA has it."""
        self._close_block()
        frame = pl.concat(self._blocks) if self._blocks else pl.DataFrame(schema=_PARTS)
        return frame.select(pl.lit(split, pl.UInt8).alias("split"), *_PARTS)

    def _close_block(self) -> None:
        if self._open:
            self._blocks.append(pl.DataFrame(self._open, schema=_PARTS, orient="row"))
            self._open = []


_PARTS = {name: kind for name, kind in SCHEMA.items() if name != "split"}


def with_repeats(index: pl.DataFrame) -> pl.DataFrame:
    """The index with equal rows flagged: within a split, and of the others with training."""
    trained = index.filter(pl.col("split") == 0).get_column("digest").unique()
    duplicate = ~pl.col("digest").is_first_distinct().over("split")
    overlap = (pl.col("split") != 0) & pl.col("digest").is_in(trained.implode())
    problems = (
        pl.col("problems") & pl.lit(~_REPEATS, pl.UInt32)
        | duplicate.cast(pl.UInt32) * int(Problem.DUPLICATE)
        | overlap.cast(pl.UInt32) * int(Problem.OVERLAP)
    )
    return index.with_columns(problems.cast(pl.UInt32).alias("problems"))


def _digest_of(row: dict[str, Any], line: bytes, *, mapped: bool) -> int:
    """64 bits over what is learnt: a row that says where it is from is still the same row."""
    if mapped and any(name not in LEARNT for name in row):
        learnt = {name: row[name] for name in LEARNT if name in row}
        line = orjson.dumps(learnt, option=orjson.OPT_NON_STR_KEYS)
    return int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "little")
