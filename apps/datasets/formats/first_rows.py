"""The first rows of a source: so many of each of its parts, and no more is read than that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

from apps.datasets.formats.reading.records import Read, Record
from apps.datasets.formats.reading.source import read_source


@dataclass(frozen=True)
class FirstRows:
    """How many rows are wanted of each part of a source."""

    rows: int
    parts: Mapping[str, str] = field(default_factory=dict)
    """The part that each file of a folder belongs to, by its name there; the others are one."""

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Self:
        """From what ``as_json`` made."""
        return cls(given["rows"], given["parts"])

    def as_json(self) -> dict[str, Any]:
        """What ``of_json`` reads."""
        return {"rows": self.rows, "parts": dict(self.parts)}

    def of(self, reads: Iterator[Read]) -> Iterator[Read]:
        """What is wanted of these, and the faults between. Ends once every part has its rows.

        A part whose files have fewer rows keeps the reading going to the end.
        """
        counts: Counter[str] = Counter()
        short = set(self.parts.values()) or {""}
        for read in reads:
            part = self.parts.get(read.file, "")
            if counts[part] >= self.rows:
                continue
            yield read
            counts[part] += isinstance(read, Record)
            if counts[part] >= self.rows:
                short.discard(part)
                if not short:
                    return


def count_rows(path: Path, at_most: int) -> int:
    """The readable rows of a file, counted no further than ``at_most``. Raises FormatError."""
    records = (read for read in read_source(path) if isinstance(read, Record))
    return sum(1 for _ in islice(records, at_most))
