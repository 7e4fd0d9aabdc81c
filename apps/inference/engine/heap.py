"""The process's heap, kept from growing with what is long free."""

from __future__ import annotations

import time

from apps.models.runtime import c_heap

TIDY_SECONDS = 10.0
"""Between two times."""


class Heap:
    """KV of every length comes and goes between what stays, and on a CPU the C library keeps
    the holes that it leaves; see ``c_heap``.
    """

    def __init__(self) -> None:
        self._tidied_at = time.monotonic()

    def tidy(self) -> None:
        """Return free pages to the system where it was not done lately.

        Took 1 to 170 ms on two cores that ten processes wanted.
        """
        now = time.monotonic()
        if now - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = now
            c_heap.trim()
