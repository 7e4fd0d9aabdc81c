"""Rows that are chosen together: by number, by what is wrong with them, by what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from apps.datasets.formats.checks import Problem
from apps.datasets.formats.conditions import Condition, all_hold
from apps.datasets.formats.personal import Personal
from apps.datasets.formats.store.reading import RowFiles

_NO_PROBLEM = Problem(0)
_NOTHING_PERSONAL = Personal(0)


@dataclass(frozen=True)
class Selection:
    """A row is chosen where any of these takes it."""

    rows: tuple[int, ...] = ()
    """Numbers, from 0."""
    problems: Problem = _NO_PROBLEM
    personal: Personal = _NOTHING_PERSONAL
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes; of rows whose language was looked at."""
    longer_than: int = 0
    """Tokens; 0 for none. Of rows whose tokens were counted."""
    where: tuple[Condition, ...] = ()
    """Conditions that a row meets, all of them."""

    @classmethod
    def of_json(cls, plan: dict[str, Any]) -> Selection:
        """The selection of an order; what it leaves out takes nothing. Raises BadMapping."""
        return cls(
            rows=tuple(plan.get("rows", ())),
            problems=Problem(plan.get("problems", 0)),
            personal=Personal(plan.get("personal", 0)),
            languages=tuple(plan.get("languages", ())),
            longer_than=plan.get("longer_than", 0),
            where=tuple(Condition.of_json(each) for each in plan.get("where", ())),
        )

    def numbers(self, files: RowFiles) -> np.ndarray:
        """The chosen rows of a version, each once, in their order."""
        index = files.index()
        taken = (pl.col("problems") & int(self.problems) != 0) | (
            pl.col("personal") & int(self.personal) != 0
        )
        if self.rows:
            taken |= pl.col("number").is_in(self.rows)
        if self.languages and "language" in index.columns:
            taken |= pl.col("language").is_in(self.languages)
        if self.longer_than and "tokens" in index.columns:
            taken |= (pl.col("tokens") > self.longer_than).fill_null(False)
        chosen = index.filter(taken).get_column("number").to_numpy()
        return np.union1d(chosen, self._meeting(files))

    def in_words(self) -> str:
        """Why these, as in ": duplicate, empty"."""
        bits = [
            *(self.problems & each for each in Problem),
            *(self.personal & each for each in Personal),
        ]
        names = [bit.name.lower().replace("_", " ") for bit in bits if bit and bit.name]
        names += self.languages
        names += [f"longer than {self.longer_than:,} tokens"] if self.longer_than else []
        names += [" and ".join(map(str, self.where))] if self.where else []
        return f": {', '.join(names)}" if names else ""

    def _meeting(self, files: RowFiles) -> np.ndarray:
        if not self.where:
            return np.empty(0, np.uint32)
        rows = enumerate(files.values())
        met = [number for number, row in rows if all_hold(self.where, row)]
        return np.array(met, np.uint32)
