"""A download watched from a terminal: the worker's own, or run here where no worker is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.core.management.base import OutputWrapper
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from apps.discovery.downloads.errors import NoPlace
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.running import run_download, settle_downloads
from apps.inference.heartbeat import INTERVAL, QueueUnreachable, last_beat_age
from apps.jobs.conduct import Report
from apps.jobs.models import JobState

LOOK_EVERY = 0.5
"""Seconds between two looks at a download that a worker runs."""


class Shown(Protocol):
    def __call__(self, doing: str, done: int) -> None:
        """``doing``: the present stage, in words. ``done``: bytes of all files here."""


def worker_is_alive() -> bool:
    """Whether a worker gave a sign of life lately."""
    try:
        age = last_beat_age()
    except QueueUnreachable:
        return False
    return age is not None and age < 3 * INTERVAL


def follow(download: Download, show: Shown) -> None:
    """Show a download until it stands still.

    Where no worker is alive it runs in this process, as the same job. Ctrl-C then pauses it.
    """
    while download.is_active:
        if not worker_is_alive():
            run_here(download, show)
        download.refresh_from_db()
        show(download.doing_now, download.bytes_done)
        if download.is_active:
            time.sleep(LOOK_EVERY)


def run_here(download: Download, show: Shown) -> None:
    """Do a worker's part in this process. Ctrl-C pauses it."""
    settle_downloads()  # nobody else does while there is no worker
    download.refresh_from_db()
    try:
        run_download(
            download,
            worker_stops=threading.Event(),
            stopped_as=JobState.PAUSED,
            watch=lambda report: _Told(report, show),
        )
    except NoPlace:
        return  # other terminals have them; there will be one


class _Told:
    """Hands a report on to the terminal as well as to the row."""

    def __init__(self, report: Report, show: Shown) -> None:
        self._report = report
        self._show = show

    def __call__(self, doing: str, fraction: float, **fields: Any) -> None:
        self._show(doing, int(fields.get("bytes_done", 0)))
        self._report(doing, fraction, **fields)


@contextmanager
def shown(stdout: OutputWrapper, total: int) -> Iterator[Shown]:
    """A bar with rate and time left on a terminal; elsewhere a line for each stage."""
    if not stdout.isatty():
        yield _lines(stdout)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda doing, done: bar.update(task, description=doing, completed=done)


def _lines(stdout: OutputWrapper) -> Shown:
    last = ""

    def show(doing: str, done: int) -> None:
        nonlocal last
        stage = doing.partition(". Try ")[0]  # the seconds until then would be a line each
        if stage and stage != last:
            last = stage
            stdout.write(f"  {doing}")

    return show
