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
import time
from datetime import timedelta
from functools import cache
from typing import Self, TypeVar

import psutil
from django.db import models
from django.utils import timezone

SILENT_AFTER = timedelta(seconds=30)
"""A job of another machine that gave no sign of life for so long has no process any more."""

CLOCK_SLACK = 2.0
"""Seconds by which two processes may differ on when a third one started, after the clock was set."""


class JobState(models.TextChoices):
    """Where a job stands; the module's drawing has the ways between them."""

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
    """What every kind of job can be asked for."""

    def queued(self) -> Self:
        return self.filter(state=JobState.QUEUED)

    def running(self) -> Self:
        return self.filter(state=JobState.RUNNING)

    def active(self) -> Self:
        """Jobs that run or wait for a worker, the next one first."""
        return self.filter(state__in=ACTIVE).order_by("pk")

    def ended(self) -> Self:
        """Jobs that are over; a paused one is not."""
        return self.exclude(state__in=(*ACTIVE, JobState.PAUSED))

    def orphaned(self) -> Self:
        """Running jobs whose process is gone.

        Of this machine's processes that is known, however long one was silent: a laptop
        that slept is no crash. Those of other machines are gone when they are silent.
        """
        here = f"{socket.gethostname()}:"
        running = self.running()
        runners = running.filter(runner__startswith=here).values_list("runner", flat=True)
        dead = [runner for runner in runners.distinct() if not is_alive(runner)]
        silent = models.Q(seen_at__lt=timezone.now() - SILENT_AFTER)
        elsewhere = ~models.Q(runner__startswith=here)
        return running.filter(models.Q(runner__in=dead) | (silent & elsewhere))


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
    def row(self) -> JobQuerySet[Self]:
        """The job alone, for a change that is guarded by the state it finds."""
        rows: JobQuerySet[Self] = type(self)._default_manager.filter(pk=self.pk)  # type: ignore[assignment]
        return rows

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_resumable(self) -> bool:
        return self.state in RESUMABLE

    @property
    def percent(self) -> int:
        return round(100 * self.fraction)


class Priority(models.IntegerChoices):
    """Which of those that wait come first, whenever they were ordered."""

    HIGH = 1, "high"
    NORMAL = 0, "normal"
    LOW = -1, "low"


def end_of_line() -> int:
    """A rank behind everybody who waits now: microseconds since 1970."""
    return time.time_ns() // 1000


class HeavyJob(Job):
    """A job that holds a model in memory: one at a time has its turn (apps.jobs.line)."""

    Priority = Priority

    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    rank = models.BigIntegerField(
        default=end_of_line, help_text="Place among those of its priority; the lowest is first."
    )
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="It waits until then, whoever's turn it is."
    )

    class Meta:
        abstract = True

    @property
    def kind_label(self) -> str:
        """Its kind in addresses: ``training.trainingjob``."""
        return self._meta.label_lower

    @property
    def short_name(self) -> str:
        """What it is called where there is little room."""
        return str(self)

    @property
    def hindrance(self) -> str:
        """What it waits for beside its turn, in words; empty: nothing."""
        if self.not_before is not None and self.not_before > timezone.now():
            return f"waits until {self.not_before:%-d %B %Y %H:%M} UTC"
        return ""


def this_process() -> str:
    """What ``Job.runner`` holds for this process; no later process has the same."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid()):.2f}"


@cache
def _started(pid: int) -> float:
    """When, as it looked the first time: it is told anew whenever the system's clock is set."""
    return psutil.Process(pid).create_time()


def is_alive(runner: str) -> bool:
    """Whether that process of this machine still runs; nobody does not."""
    if not runner:
        return False
    _, pid, started = runner.rsplit(":", 2)
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) < CLOCK_SLACK
    except psutil.Error:
        return False
