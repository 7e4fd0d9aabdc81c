"""What a soak's figures say, against stated limits.

What a hub needs once (weights, caches that fill, compiled kernels) comes in the warm-up, the
first third; the limits hold for the rest.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlxhub_site.soak.traffic import Tally
from mlxhub_site.soak.watching import Watch, Watched

WARM_UP = 1 / 3
"""Share of the time whose figures do not count."""

GROWTH_LIMIT = 1.0
"""MiB a minute that a process may grow."""

PARTS = 12

DRIFT_LIMIT = 1.5
"""Median wait for the first word at the end, against after the warm-up."""

SLACK = {"descriptors": 4, "threads": 2}
"""How much more there may be at the end than after the warm-up: calls on their way."""

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """One figure and its limit."""

    name: str
    value: float
    limit: float
    unit: str
    error: float | None = None
    """Standard error of the value. The engine breathes by a hundred MiB, which minutes can
    hardly tell from growth; the limit holds all the same.
    """

    @property
    def holds(self) -> bool:
        return self.value <= self.limit


def findings(tallies: dict[str, Tally], watch: Watch) -> list[Finding]:
    """Everything that has a limit."""
    errors = sum(tally.errors for tally in tallies.values())
    found = [
        Finding("visits that failed", errors, 0, ""),
        Finding("processes that ended", len(watch.lost), 0, ""),
    ]
    for name, process in watch.processes.items():
        slope, error = growth(process)
        known = error if math.isfinite(error) else None
        found.append(Finding(f"{name}: growth", slope, GROWTH_LIMIT, "MiB/min", known))
        for measure, slack in SLACK.items():
            more = _more(getattr(process, measure))
            found.append(Finding(f"{name}: more {measure} at the end", more, slack, ""))
    waits = [wait for tally in tallies.values() for wait in tally.waits]
    found.append(Finding("first words, end / after warm-up", drift(waits), DRIFT_LIMIT, ""))
    return found


def growth(process: Watched) -> tuple[float, float]:
    """MiB a minute by which its memory grows after the warm-up, and the standard error of that.

    By least squares over the medians of PARTS parts, which hardly depend on each other as
    samples a few seconds apart do. Too few samples tell nothing: 0 and infinity.
    """
    first = int(len(process.at) * WARM_UP)
    at, rss = process.at[first:], process.rss[first:]
    if len(at) < PARTS:
        return 0.0, math.inf
    cuts = [len(at) * part // PARTS for part in range(PARTS + 1)]
    times, sizes = (
        [statistics.median(series[a:b]) for a, b in pairwise(cuts)] for series in (at, rss)
    )
    slope, intercept = statistics.linear_regression(times, sizes)
    residuals = [y - slope * x - intercept for x, y in zip(times, sizes, strict=True)]
    spread = math.sqrt(PARTS * statistics.pvariance(times))
    error = math.sqrt(sum(r * r for r in residuals) / (PARTS - 2)) / spread
    return slope * 60 / _MIB, error * 60 / _MIB


def trend(samples: Sequence[tuple[float, int]]) -> float:
    """MiB a minute by which something grows after the warm-up; ``samples``: when, and bytes."""
    rest = samples[int(len(samples) * WARM_UP) :]
    if len(rest) < 3:
        return 0.0
    slope, _ = statistics.linear_regression(*zip(*rest, strict=True))
    return float(slope) * 60 / _MIB


def drift(waits: Sequence[tuple[float, float]]) -> float:
    """Median wait of the last third against the middle one; 1 where there are too few."""
    ordered = [seconds for _, seconds in sorted(waits)]
    third = len(ordered) // 3
    if third < 5:
        return 1.0
    return statistics.median(ordered[-third:]) / statistics.median(ordered[third : 2 * third])


def _more(series: Sequence[int]) -> float:
    """How much the last third's median is above the middle third's."""
    third = len(series) // 3
    if third < 2:
        return 0.0
    return statistics.median(series[-third:]) - statistics.median(series[third : 2 * third])
