"""How finely the past is kept: the older, the coarser, and each range in about 300 points."""

from __future__ import annotations

from dataclasses import dataclass

EVERY = 10
"""Seconds between two looks, and the finest grain."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Range:
    """A stretch of time up to now, and the grain that it is kept and shown in."""

    key: str
    label: str
    seconds: int
    grain: int
    """Seconds of a span; the next coarser grain is a multiple of it."""

    @property
    def points(self) -> int:
        return self.seconds // self.grain


RANGES = (
    Range("hour", "1 hour", _HOUR, EVERY),
    Range("6h", "6 hours", 6 * _HOUR, _MINUTE),
    Range("day", "1 day", _DAY, 5 * _MINUTE),
    Range("week", "1 week", 7 * _DAY, 30 * _MINUTE),
    Range("month", "1 month", 31 * _DAY, 2 * _HOUR),
)


def range_of(key: str) -> Range:
    """The range of this key; the first one where there is none such."""
    return next((each for each in RANGES if each.key == key), RANGES[0])
