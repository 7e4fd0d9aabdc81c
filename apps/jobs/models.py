"""Long work in the worker: the states it goes through, the same for every kind.

A row of a subclass is the truth about one piece of work; huey only wakes a worker
up for it. State changes are guarded by the state they start from, since a page, a
command and several workers may act at once:

    queued ──► running ──► done | failed | cancelled | interrupted
      │  ▲        │
      ▼  └────────┼─── resume (paused, failed, cancelled, interrupted)
    paused ◄──────┘
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import TypeVar

import psutil
from django.db import models
from django.utils import timezone

SILENT_AFTER = timedelta(seconds=30)
"""A running job whose process gave no sign of life for so long has none."""


class JobState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    PAUSED = "paused", "paused"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    INTERRUPTED = "interrupted", "interrupted"


class Wish(models.TextChoices):
    """What somebody asked of a running job; it is granted within a second or two."""

    NONE = "", "go on"
    PAUSE = "pause", "pause"
    CANCEL = "cancel", "cancel"


ACTIVE = (JobState.QUEUED, JobState.RUNNING)
RESUMABLE = (JobState.PAUSED, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED)

J = TypeVar("J", bound="Job")


class JobQuerySet(models.QuerySet[J]):
    def queued(self) -> JobQuerySet[J]:
        return self.filter(state=JobState.QUEUED)

    def running(self) -> JobQuerySet[J]:
        return self.filter(state=JobState.RUNNING)

    def active(self) -> JobQuerySet[J]:
        """Jobs that run or wait for a worker, the next one first."""
        return self.filter(state__in=ACTIVE).order_by("pk")

    def ended(self) -> JobQuerySet[J]:
        """Jobs that are over; a paused one is not."""
        return self.exclude(state__in=(*ACTIVE, JobState.PAUSED))

    def silent(self) -> JobQuerySet[J]:
        """Running jobs whose process is gone, as far as their row tells."""
        return self.running().filter(seen_at__lt=timezone.now() - SILENT_AFTER)

    def orphaned(self) -> JobQuerySet[J]:
        """Running jobs whose process is gone: silent ones, and those of this machine's dead."""
        here = f"{socket.gethostname()}:"
        runners = self.running().filter(runner__startswith=here)
        dead = [
            runner
            for runner in runners.values_list("runner", flat=True).distinct()
            if not _is_alive(runner)
        ]
        return self.running().filter(
            models.Q(runner__in=dead) | models.Q(seen_at__lt=timezone.now() - SILENT_AFTER)
        )


class Job(models.Model):
    """One piece of long work: its state, how far it is, and who is at it."""

    State = JobState

    state = models.CharField(
        max_length=16, choices=JobState, default=JobState.QUEUED, db_index=True
    )
    wish = models.CharField(max_length=8, choices=Wish, default=Wish.NONE, blank=True)
    doing = models.CharField(max_length=200, blank=True, help_text="The present stage, in words.")
    fraction = models.FloatField(default=0.0, help_text="How far it is, from 0.0 to 1.0.")
    error = models.TextField(blank=True, help_text="Why it did not get to its end.")
    runner = models.CharField(
        max_length=200, blank=True, help_text="The process at it: host, process id, start."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True, help_text="The running process's last sign of life.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_resumable(self) -> bool:
        return self.state in RESUMABLE

    @property
    def percent(self) -> int:
        return round(100 * self.fraction)


def this_process() -> str:
    """What ``Job.runner`` holds for this process; no later process has the same."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def _is_alive(runner: str) -> bool:
    """Whether that process of this machine still runs."""
    _, pid, started = runner.rsplit(":", 2)
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == started
    except psutil.Error:
        return False
