"""A range of time, as charts and tables show it. Reads at most 360 rows of a series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apps.system.history.grains import EVERY, Range
from apps.system.history.models import Sample


@dataclass(frozen=True)
class Course:
    """One series: parallel lists. A span of which nothing is known is left out."""

    at: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    @property
    def latest(self) -> float:
        return self.mean[-1]

    @property
    def lowest(self) -> float:
        return min(self.low)

    @property
    def highest(self) -> float:
        return max(self.high)

    @property
    def average(self) -> float:
        return sum(self.mean) / len(self.mean)


def courses(shown: Range, *, now: float, about: Iterable[str] = ()) -> dict[str, Course]:
    """Every series that has something in the range, or those that are named, by name."""
    first = (int(now) - shown.seconds) // shown.grain * shown.grain
    rows = Sample.objects.between(shown.grain, first, int(now) + EVERY)
    if names := list(about):
        rows = rows.filter(series__in=names)
    found: dict[str, Course] = {}
    order: Any = rows.order_by("at").values_list("series", "at", "low", "high", "total", "count")
    for series, at, low, high, total, count in order:
        course = found.setdefault(series, Course([], [], [], []))
        course.at.append(at)
        course.mean.append(total / count)
        course.low.append(low)
        course.high.append(high)
    return found
