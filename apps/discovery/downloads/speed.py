"""How fast bytes come, of late."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 8.0
"""Seconds that count: enough to be steady, few enough to notice a change."""

_STEP = 0.2
"""Seconds between two samples that are kept."""


class Speedometer:
    """Takes the count of bytes now and then, and tells bytes per second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, count: int) -> None:
        """``count`` bytes are here now. Fewer than before: another file is begun anew."""
        now = self._clock()
        if self._samples and count < self._samples[-1][1]:
            self._samples.clear()
        if not self._samples or now - self._samples[-1][0] >= _STEP:
            self._samples.append((now, count))
        while len(self._samples) > 2 and self._samples[0][0] < now - WINDOW:
            self._samples.popleft()

    def restart(self) -> None:
        """Forget what was: nothing came for a while."""
        self._samples.clear()

    @property
    def rate(self) -> float:
        """Bytes per second over the last few seconds; 0.0 until there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return (after - before) / (last - first)
