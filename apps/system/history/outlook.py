"""Whether memory will get tight: told before it is, from how it went of late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TIGHT = 0.92
"""Of what there is."""

HORIZON = 20 * 60.0
"""Seconds ahead that are looked."""

LEAST_SHARE = 0.5
"""Below half full, growth is a model being loaded and no reason to worry."""

LEAST_POINTS = 5
STEADY = 0.6
"""Coefficient of determination from which growth is a trend, and no leap up and down."""


@dataclass(frozen=True)
class Outlook:
    """``seconds``: until it is tight; 0 where it is now, None where it will not be."""

    share: float
    """Of what there is, now."""
    seconds: float | None


def outlook(course: Sequence[tuple[float, float]], limit: float) -> Outlook:
    """``course``: times in seconds with bytes in use, ascending. ``limit``: bytes there are."""
    if not course or limit <= 0:
        return Outlook(0.0, None)
    used = course[-1][1]
    share = used / limit
    if share >= TIGHT:
        return Outlook(share, 0.0)
    if share < LEAST_SHARE or len(course) < LEAST_POINTS:
        return Outlook(share, None)
    slope, steadiness = _trend(course)
    if slope <= 0 or steadiness < STEADY:
        return Outlook(share, None)
    seconds = (TIGHT * limit - used) / slope
    return Outlook(share, seconds if seconds <= HORIZON else None)


def _trend(course: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope of the least squares' line in bytes a second, and how much of the change it explains."""
    count = len(course)
    mean_at = sum(at for at, _ in course) / count
    mean = sum(used for _, used in course) / count
    spread = sum((at - mean_at) ** 2 for at, _ in course)
    change = sum((used - mean) ** 2 for _, used in course)
    together = sum((at - mean_at) * (used - mean) for at, used in course)
    if not spread or not change:
        return 0.0, 0.0
    return together / spread, together**2 / (spread * change)
