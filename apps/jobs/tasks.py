"""What every kind of job needs of the worker; huey imports this module with its tasks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import DatabaseError
from django.dispatch import receiver
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_shutdown

from apps.jobs import line
from apps.jobs.models import J, JobQuerySet
from apps.jobs.turns import AnotherWorks, the_turn, turn_ended

logger = logging.getLogger(__name__)

worker_stops = threading.Event()
"""Set once this process's worker is told to end."""


def once_a_process(hook: Callable[[], None]) -> Callable[[], None]:
    """For huey's start hooks, which it calls in each of its threads: the first one is enough."""
    begun = threading.Lock()

    @wraps(hook)
    def first_alone() -> None:
        if begun.acquire(blocking=False):
            hook()

    return first_alone


def run_alone(
    jobs: JobQuerySet[J], key: int, run: Callable[..., None], wake: Callable[[int], object]
) -> None:
    """Run a queued job of a kind of which one runs at a time, then wake a worker for the next.

    One that finds another at work stays queued: it is woken up at that one's end, or by
    whoever looks after its kind.
    """
    if jobs.running().exists():
        return
    job = jobs.queued().filter(pk=key).first()
    if job is not None:
        run(job, stops=worker_stops)
    if not worker_stops.is_set():
        wake_first(jobs, wake)


def wake_first(jobs: JobQuerySet[J], wake: Callable[[int], object]) -> None:
    """Have the one that was ordered first run; what comes twice is run once."""
    for key in jobs.queued().order_by("pk").values_list("pk", flat=True)[:1]:
        wake(key)


@on_shutdown()
def end_jobs() -> None:
    """A worker that is stopped does not wait minutes for its jobs; idle threads end first."""
    worker_stops.set()


# A database that is locked for a moment is not to hold up the line for a minute.
@db_task(retries=5, retry_delay=2)
def take_turns() -> None:
    """Run the jobs that hold a model one after another, in the order of the line.

    Who comes while one runs is seen at its end. So it does not matter how often the worker is
    woken up, nor for which job.
    """
    while not worker_stops.is_set() and line.next_up() is not None:
        try:
            with the_turn():
                _run_next()
        except AnotherWorks:
            return  # whoever has the turn goes on with the line


def _run_next() -> None:
    job = line.next_up()
    if job is None:
        return
    try:
        line.run(job, worker_stops)
    except DatabaseError:
        raise  # such as a full disk: nothing could be claimed now, and the next minute tries
    except Exception:
        # Its row says that it failed; those behind it are to have their turn.
        logger.exception("%s failed.", job)


@receiver(turn_ended)
def pass_the_turn_on(**kwargs: Any) -> None:
    """A command's process does not run what waits; the worker does."""
    if line.next_up() is not None:
        take_turns()


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_the_line() -> None:
    """For those whose time has come, or whose wake-up call got lost."""
    if line.next_up() is not None:
        take_turns()
