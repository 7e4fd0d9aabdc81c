"""The process's heap, kept from growing with what is long free."""

from __future__ import annotations

import time

from apps.models.runtime import accelerator

TIDY_SECONDS = 30.0
"""Between two times; what is freed within it is mostly wanted again."""


class Heap:
    """Without it, the resident memory of an engine on a CPU creeps up for an hour and more: KV
    of every length comes and goes between what stays, and the holes are kept.
    """

    def __init__(self) -> None:
        self._tidied_at = time.monotonic()

    def tidy(self) -> None:
        """Return free pages to the system where it was not done lately; takes milliseconds."""
        now = time.monotonic()
        if now - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = now
            accelerator.trim_heap()
