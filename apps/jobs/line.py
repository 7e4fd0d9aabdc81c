"""The line of jobs that hold a model: whose turn is next, whatever their kind.

The rows are the line: every queued job of a kind that joined, by priority and rank. So
nothing can be in it twice or be forgotten, and each kind keeps its own table.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Model

from apps.jobs.models import HeavyJob, JobQuerySet


@dataclass(frozen=True)
class Kind:
    """One kind of job that takes turns with the others."""

    jobs: Callable[[], JobQuerySet[Any]]
    """Those that take turns, whatever their state."""
    run: Callable[[Any, threading.Event], None]
    """Runs one to its end, which has the turn already; the event is set once the worker stops."""


_kinds: dict[type[Model], Kind] = {}


def join(model: type[HeavyJob], kind: Kind) -> None:
    """Have the jobs of ``model`` take turns with those of every other kind."""
    _kinds[model] = kind


def run(job: HeavyJob, stops: threading.Event) -> None:
    """Run one whose turn it is."""
    _kinds[type(job)].run(job, stops)


def waiting() -> list[HeavyJob]:
    """Who waits for a turn, the next one first; some may wait for something else besides."""
    jobs = [job for kind in _kinds.values() for job in kind.jobs().queued()]
    return sorted(jobs, key=_place)


def at_work() -> list[HeavyJob]:
    """Whose row says that it has its turn: one, or none."""
    return [job for kind in _kinds.values() for job in kind.jobs().running()]


def find(label: str, key: int) -> HeavyJob | None:
    """The job of the kind with this label (``training.trainingjob``), whatever its state."""
    for model, kind in _kinds.items():
        if model._meta.label_lower == label:
            job: HeavyJob | None = kind.jobs().filter(pk=key).first()
            return job
    return None


def next_up() -> HeavyJob | None:
    """The first in line that waits for nothing but its turn."""
    return next((job for job in waiting() if not job.hindrance), None)


def move(*, job: HeavyJob, by: int) -> None:
    """Let a queued job pass ``by`` others; negative: towards the front.

    It takes the priority of the last one that it passes.
    """
    with transaction.atomic():
        line = waiting()
        if job not in line:
            return
        old = line.index(job)
        new = min(max(old + by, 0), len(line) - 1)
        if new == old:
            return
        priority = line[new].priority
        line.insert(new, line.pop(old))
        job.row.queued().update(priority=priority)
        first = min(each.rank for each in line)
        for place, each in enumerate(line):
            if each.rank != first + place:
                each.row.queued().update(rank=first + place)
    job.refresh_from_db()


def _place(job: HeavyJob) -> tuple[int, int, str, int]:
    # Two that were ordered in the same microsecond still have an order.
    return -job.priority, job.rank, job._meta.label_lower, job.pk
