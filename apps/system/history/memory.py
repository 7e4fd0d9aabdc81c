"""The memory that may get tight: the machine's, and the engine's share of it."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from apps.models.sizes import readable_memory
from apps.system.history.grains import RANGES, Range
from apps.system.history.outlook import TIGHT, outlook
from apps.system.history.reading import courses

SERIES = "machine.memory"

LOOKED_BACK = Range("trend", "10 minutes", 10 * 60, RANGES[0].grain)


@dataclass(frozen=True)
class Tightness:
    """Memory is tight, or will be soon."""

    share: float
    """In use now, of the machine's."""
    text: str
    """In a sentence."""
    remedy: str


_REMEDY = (
    "Unload models you don't need, on the Models page or with `mlx-hub unload NAME`; let a training "
    "wait, or set a lower `MLXHUB_MEMORY_CEILING_GB`."
)


def memory_outlook(*, now: float) -> Tightness | None:
    """None where there is enough, and going to be."""
    course = courses(LOOKED_BACK, now=now, about=[SERIES]).get(SERIES)
    if course is None:
        return None
    total = psutil.virtual_memory().total
    seen = outlook(list(zip(map(float, course.at), course.mean, strict=True)), total)
    if seen.seconds is None:
        return None
    used = f"{readable_memory(int(course.latest))} of {readable_memory(total)} are in use"
    if not seen.seconds:
        return Tightness(seen.share, f"{used}.", _REMEDY)
    minutes = max(1, round(seen.seconds / 60))
    text = f"{used}, and at the present pace {TIGHT:.0%} will be in {minutes} min."
    return Tightness(seen.share, text, _REMEDY)
