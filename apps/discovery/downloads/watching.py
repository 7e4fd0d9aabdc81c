"""What is done while a transfer runs: its progress, its setbacks, and the room on the disk."""

from __future__ import annotations

import math
import time

from apps.discovery import hub
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.place import folder_of, require_floor
from apps.discovery.downloads.speed import Speedometer
from apps.discovery.errors import DiscoveryError, DownloadDamaged, HubUnreachable
from apps.jobs.conduct import Report
from apps.models.sizes import readable

TRIES = 8
"""Failures in a row, without a byte between them, after which a download gives up."""

DAMAGED_TRIES = 2
"""Times that one download may get wrong content: a bit that fell over is not a mirror that lies."""

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds until the next try: doubled from one failure to the next."""

LONGEST_ASKED_WAIT = 600.0
"""Seconds that a hub which asks for patience is given at most."""

FLOOR_EVERY = 2.0
"""Seconds between two looks at the free disk."""

_TICK = 0.5
"""Seconds between two looks, while it waits, at what was asked of the job."""


class Watch:
    """Tells the job how far the transfer is, and decides when a broken one is tried again."""

    def __init__(self, download: Download, report: Report) -> None:
        self._report = report
        self._total = download.bytes_total
        self._folder = folder_of(download)
        self._speed = Speedometer()
        self._done = 0
        self._failures = 0
        self._damaged = 0
        self._floor_due = 0.0

    def expect(self, nbytes: int) -> None:
        """Learn that so many bytes are needed in all; never fewer than were known of."""
        self._total = max(self._total, nbytes)

    def on_step(self, step: hub.Step) -> None:
        self._done = step.done
        self._speed.note(step.received)
        verb = "checking" if step.checking else "downloading"
        self._tell(f"{verb} {step.file.name} ({readable(step.file.size)})", self._speed.rate)
        if time.monotonic() >= self._floor_due:
            self._floor_due = time.monotonic() + FLOOR_EVERY
            require_floor(self._folder)

    def on_setback(self, error: DiscoveryError, advanced: bool) -> None:
        """Wait, and return for another try; raises ``error`` where there is to be none."""
        self._failures = 1 if advanced else self._failures + 1
        asked = None
        if isinstance(error, DownloadDamaged):
            self._damaged += 1
            if self._damaged >= DAMAGED_TRIES:
                raise error
        elif isinstance(error, HubUnreachable):
            asked = error.retry_after
            if not error.passing:
                raise error
        if self._failures >= TRIES:
            raise error
        self._wait(error, asked)

    def _wait(self, error: DiscoveryError, asked: float | None) -> None:
        seconds = min(FIRST_WAIT * 2 ** (self._failures - 1), LONGEST_WAIT)
        if asked is not None:
            seconds = min(max(asked, seconds), LONGEST_ASKED_WAIT)
        until = time.monotonic() + seconds
        why = str(error).partition(". ")[0]
        while (left := until - time.monotonic()) > 0:
            self._tell(f"{why}. Try {self._failures + 1} of {TRIES} in {math.ceil(left)} s", 0.0)
            time.sleep(min(left, _TICK))  # _tell ends the wait where the job is to end
        self._speed.restart()

    def _tell(self, doing: str, rate: float) -> None:
        share = self._done / max(1, self._total)
        self._report(doing, share, bytes_done=self._done, bytes_total=self._total, rate=rate)
