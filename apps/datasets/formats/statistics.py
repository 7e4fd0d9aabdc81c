"""Figures of a version, from its index alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from apps.datasets.formats.checks import DESCRIPTIONS, ERRORS, Problem
from apps.datasets.formats.personal import LABELS
from apps.datasets.formats.store.reading import RowFiles

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BUCKETS = 24


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    start: int
    end: int
    """One more than the largest value in it."""
    count: int


@dataclass(frozen=True)
class Statistics:
    """Counts and lengths of the rows."""

    rows: int
    characters: int
    problems: dict[str, int]
    """Rows by the name of a checks.Problem; those that no row has are left out."""
    personal: dict[str, int]
    faulty: int
    """Rows with some problem that is an error."""
    quantiles: dict[str, float]
    """Of characters, by the fraction of rows that are shorter."""
    lengths: list[Bar]
    turns: dict[str, int]
    """Rows by number of messages; empty where they are no conversations."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def statistics_of(files: RowFiles) -> Statistics:
    """Count what the index has."""
    index = files.scan()
    counted = index.select(
        pl.len().alias("rows"),
        pl.col("chars").cast(pl.UInt64).sum().alias("characters"),
        (pl.col("problems") & int(ERRORS) != 0).sum().alias("faulty"),
        *(_has("problems", bit) for bit in DESCRIPTIONS),
        *(_has("personal", bit) for bit in LABELS),
        *(pl.col("chars").quantile(part).alias(f"q{part}") for part in _QUANTILES),
    )
    row = counted.collect().row(0, named=True)
    turns = index.filter(pl.col("turns") > 0).group_by("turns").len().sort("turns").collect()
    lengths = index.select("chars").collect().to_series()
    return Statistics(
        rows=row["rows"],
        characters=row["characters"],
        problems=_named(row, DESCRIPTIONS),
        personal=_named(row, LABELS),
        faulty=row["faulty"],
        quantiles={str(part): row[f"q{part}"] or 0.0 for part in _QUANTILES},
        lengths=histogram(lengths),
        turns={str(number): count for number, count in turns.rows()},
    )


def histogram(values: pl.Series, buckets: int = _BUCKETS) -> list[Bar]:
    """Bars of equal width from 0 to the 99th percentile; the last has all that is longer."""
    if values.is_empty():
        return []
    top = max(int(values.quantile(0.99) or 0), 1)
    width = -(-top // (buckets - 1)) or 1
    places = (values // width).clip(0, buckets - 1)
    counts = dict(places.value_counts().rows())
    longest = int(values.max() or 0)  # type: ignore[arg-type]
    last = max((place for place in counts), default=0)
    return [
        Bar(
            place * width,
            (place + 1) * width if place < buckets - 1 else max(longest + 1, buckets * width),
            counts.get(place, 0),
        )
        for place in range(last + 1)
    ]


def _has(column: str, bit: Any) -> pl.Expr:
    return (pl.col(column) & int(bit) != 0).sum().alias(f"{column}.{bit.name}")


def _named(row: dict[str, int], bits: dict[Any, Any]) -> dict[str, int]:
    column = "problems" if isinstance(next(iter(bits)), Problem) else "personal"
    counts = {bit.name: row[f"{column}.{bit.name}"] for bit in bits}
    return {name: count for name, count in counts.items() if count}
