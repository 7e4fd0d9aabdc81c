"""What every kind of job needs of the worker; huey imports this module with its tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps

from huey.contrib.djhuey import on_shutdown

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


@on_shutdown()
def end_jobs() -> None:
    """A worker that is stopped does not wait minutes for its jobs; idle threads end first."""
    worker_stops.set()
