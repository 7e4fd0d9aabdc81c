"""A figure: a ratio of two medians taken in one run, and the target it has."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    name: str
    ours: float
    theirs: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def target(self) -> str:
        if self.at_most is not None and self.at_least is not None:
            return f"{self.at_least:.2f} to {self.at_most:.2f}"
        return f"<= {self.at_most:.2f}" if self.at_most is not None else f">= {self.at_least:.2f}"

    @property
    def holds(self) -> bool:
        if self.at_most is not None and self.ratio > self.at_most:
            return False
        return self.at_least is None or self.ratio >= self.at_least

    def __str__(self) -> str:
        return (
            f"{self.name:<64} {self.ours:8.3f} / {self.theirs:8.3f} {self.unit:<6}"
            f"= {self.ratio:6.3f}   target {self.target}   {'ok' if self.holds else 'MISSED'}"
        )


def median_figure(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Figure:
    return Figure(name, statistics.median(ours), statistics.median(theirs), unit, at_most, at_least)
