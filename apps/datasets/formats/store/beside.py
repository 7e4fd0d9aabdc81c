"""What was found out about the rows of a version later, and lies beside them.

It follows from the rows and so changes nothing about the version. Columns have a value for
each row, in their order; they join the index when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

NEAR = "near.parquet"
"""Rows that are nearly equal to an earlier one; formats.near says which columns."""

COLUMNS = {"language": pl.String, "tokens": pl.UInt32}
"""ISO 639-1 code of the answer's language; token count, null where there is none."""


def columns_beside(folder: Path) -> pl.DataFrame:
    """The columns that were found out; a frame without any where none was."""
    found = [name for name in COLUMNS if _path(folder, name).exists()]
    frames = [pl.read_parquet(_path(folder, name)) for name in found]
    return pl.concat(frames, how="horizontal") if frames else pl.DataFrame()


def paths_beside(folder: Path) -> list[Path]:
    """Where each column is, once it was found out."""
    return [_path(folder, name) for name in COLUMNS]


def write_column(name: str, values: Sequence[object], staged: Path, folder: Path) -> None:
    """Put a column beside the rows in ``folder``, whole at once, by way of ``staged``."""
    frame = pl.DataFrame({name: pl.Series(values, dtype=COLUMNS[name])})
    new = _path(staged, name)
    frame.write_parquet(new, compression="zstd")
    new.rename(_path(folder, name))


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"
