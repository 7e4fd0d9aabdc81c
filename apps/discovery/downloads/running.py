"""A queued download gets a place, runs, and leaves nothing behind that it should not."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import IntegrityError, transaction

from apps.discovery.downloads.bringing import EXPECTED, bring
from apps.discovery.downloads.errors import NoPlace
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.place import discard
from apps.jobs.conduct import Report, claim, conduct
from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState

AT_ONCE = 2
"""Downloads that run at the same time, on all workers together; more would only share the line."""

LOST = "The process that ran it ended."


def run_download(
    download: Download,
    *,
    worker_stops: threading.Event,
    stopped_as: JobState,
    watch: Callable[[Report], Report] = lambda report: report,
) -> None:
    """Run a queued download to its end; at once back where it is no longer queued.

    ``watch`` puts something between the work and its row. Raises NoPlace.
    """
    try:
        conduct(
            download,
            lambda report: bring(download, watch(report)),
            expected=EXPECTED,
            worker_stops=worker_stops,
            stopped_as=stopped_as,
            take=_take_place,
        )
    finally:
        if download.state == JobState.CANCELLED:
            discard(download)


def settle_downloads() -> None:
    """Queue the downloads whose process is gone, and clear away behind those cancelled."""
    settle_orphans(Download.objects.all(), error=LOST, as_state=JobState.QUEUED)
    for download in Download.objects.filter(state=JobState.CANCELLED):
        discard(download)


def _take_place(download: Download) -> bool:
    """Claim a download together with one of the places; False where it is no longer queued."""
    for place in range(1, AT_ONCE + 1):
        try:
            with transaction.atomic():
                return claim(download, place=place)
        except IntegrityError:
            continue  # taken
    raise NoPlace(f"{AT_ONCE} downloads run already.")
